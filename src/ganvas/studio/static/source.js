// Where the page's data come from: the server, or, in a page that was saved, the page itself.

const saved = document.getElementById("saved");
const kept = saved ? JSON.parse(saved.textContent) : null;

export const isLive = kept === null;

export class Refused extends Error {}

async function answered(response) {
  if (response.ok) return response;
  let why = `${response.status} ${response.statusText}`;
  try {
    why = (await response.json()).error || why;
  } catch {
    // not JSON
  }
  throw new Refused(why);
}

export async function ask(path) {
  return (await answered(await fetch(`api/${path}`))).json();
}

export async function tell(path, body) {
  const options = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return answered(await fetch(`api/${path}`, options));
}

export async function raw(path) {
  return answered(await fetch(`api/${path}`));
}

const name = encodeURIComponent;

export const allRuns = () => (kept ? Promise.resolve(kept.runs) : ask("runs"));
export const oneRun = (id) => (kept ? Promise.resolve(kept.run) : ask(`runs/${name(id)}`));
export const sheetUrl = (id, file) => (kept ? kept.pictures[`samples/${file}`] : `api/runs/${name(id)}/sheets/${name(file)}`);
export const fileUrl = (id, file) => (kept ? kept.pictures[file] : `api/runs/${name(id)}/files/${file.split("/").map(name).join("/")}`);

export function logOf(id, offset, points) {
  return kept ? Promise.resolve(kept.log) : ask(`runs/${name(id)}/log?offset=${offset}&points=${points}`);
}

// News of runs. `listener({changed, gone})` is called with each; returns how to end it.
const listeners = new Set();

export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function connect(show) {
  if (kept) return;
  const stream = new EventSource("api/events");
  let lost = false;
  stream.addEventListener("hello", async () => {
    show("live");
    if (lost) tellAll({ changed: (await ask("runs")).runs, gone: [] });
    lost = false;
  });
  stream.addEventListener("runs", (event) => tellAll(JSON.parse(event.data)));
  stream.onerror = () => {
    lost = true;
    show("lost");
  };
  addEventListener("pagehide", () => stream.close());
}

function tellAll(news) {
  for (const listener of [...listeners]) listener(news);
}
