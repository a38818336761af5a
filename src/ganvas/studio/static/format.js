// Numbers and times as people read them.

const NONE = "–";

export function short(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(2);
  const decimals = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toLocaleString("en", { maximumFractionDigits: Math.min(decimals, 6) });
}

export function count(value) {
  if (value === null || value === undefined) return NONE;
  return Math.round(value).toLocaleString("en");
}

// 1,234 -> 1,234; 499200 -> 499k; 2_000_000 -> 2.00M
export function compact(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 1e4) return count(value);
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)}k`;
  return `${(value / 1e6).toFixed(2)}M`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  const hours = Math.floor(whole / 3600);
  if (hours < 48) return `${hours} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.round(hours / 24)} days`;
}

export function ago(time) {
  if (!time) return NONE;
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  if (!Number.isFinite(seconds)) return NONE;
  if (seconds < 5) return "now";
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function value(setting) {
  if (typeof setting === "string") return setting || "(empty)";
  return JSON.stringify(setting);
}

const STATES = {
  running: "running",
  finished: "finished",
  stopped: "stopped",
  failed: "failed",
  killed: "killed",
  silent: "silent",
  unknown: "ended early?",
};

export function stateWord(run) {
  const word = STATES[run.state] || "unknown";
  return run.state === "silent" ? `silent since ${ago(run.updated)}` : word;
}
