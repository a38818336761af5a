// All runs: how each is doing, sorted, filtered, chosen.

import { el, fill, remember, remembered, toggle } from "./dom.js";
import { ago, compact, count, duration, short, stateWord } from "./format.js";
import { allRuns, listen, sheetUrl } from "./source.js";

const COLUMNS = [
  ["name", "run", (run) => run.name],
  ["state", "state", (run) => ORDER.indexOf(run.state)],
  ["images", "images", (run) => run.images],
  ["rate", "images/s", (run) => run.images_per_second],
  ["left", "time", (run) => run.time_left ?? run.seconds],
  ["last", "last", (run) => run.metric && run.metric.last],
  ["best", "best", (run) => run.metric && run.metric.best],
  ["updated", "written", (run) => run.updated],
];
const ORDER = ["running", "silent", "failed", "killed", "stopped", "unknown", "finished"];
const GROUPS = [
  ["all", "All", () => true],
  ["running", "Running", (run) => run.state === "running"],
  ["ended", "Ended early", (run) => ["failed", "killed", "stopped", "silent", "unknown"].includes(run.state)],
  ["finished", "Finished", (run) => run.state === "finished"],
];
const AT_FIRST = 100;

export async function showRuns(main, _id, _query, isHere) {
  const found = await allRuns();
  if (!isHere()) return null;
  const runs = new Map(found.runs.map((run) => [run.id, run]));
  const chosen = new Set(remembered("chosen", []).filter((id) => runs.has(id)));
  const rows = new Map();
  let order = remembered("order", { by: "updated", down: true });
  let group = "all";
  let text = "";
  let shown = AT_FIRST;

  const head = el("div", { class: "head" });
  const filter = el("input", { type: "search", placeholder: "Filter by name, recipe, seed…", "aria-label": "Filter runs", oninput: () => { text = filter.value.toLowerCase(); draw(); } });
  const tabs = el("div", { class: "tabs", role: "group", "aria-label": "Which runs" });
  const body = el("tbody");
  const heads = el("tr");
  const grid = el("table", { class: "runs" }, el("thead", {}, heads), body);
  const more = el("button", { type: "button", class: "plain", onclick: () => { shown += 400; draw(); } });
  const tray = el("div", { class: "tray", role: "region", "aria-label": "Chosen runs" });
  const empty = el("div");
  fill(main, head, el("div", { class: "bar" }, filter, tabs), empty,
    el("div", { class: "scroll" }, grid), more, tray);

  function draw() {
    const all = [...runs.values()];
    const running = all.filter((run) => run.state === "running").length;
    fill(head, el("h1", {}, "Runs"), el("p", { class: "quiet" },
      `${count(all.length)} in `, el("code", {}, found.folder),
      running ? `, ${running} running now` : "", found.complete === false ? " (still looking)" : ""));
    fill(tabs, GROUPS.map(([key, title, test]) => el("button", {
      type: "button", class: "tab", "aria-pressed": String(group === key),
      onclick: () => { group = key; draw(); },
    }, title, " ", el("span", { class: "quiet" }, String(all.filter(test).length)))));
    fill(heads, el("th", { class: "pick" }, el("span", { class: "hidden" }, "Choose")), el("th", { class: "thumb" }, el("span", { class: "hidden" }, "Newest sheet")),
      COLUMNS.map(([key, title]) => el("th", { scope: "col", class: key, "aria-sort": order.by === key ? (order.down ? "descending" : "ascending") : "none" },
        el("button", { type: "button", class: "sort", onclick: () => sort(key) }, title, order.by === key ? (order.down ? " ↓" : " ↑") : ""))));
    const test = GROUPS.find(([key]) => key === group)[2];
    const wanted = all.filter((run) => test(run) && matches(run, text));
    wanted.sort(byColumn(order));
    fill(body, wanted.slice(0, shown).map((run) => rowOf(run)));
    more.hidden = wanted.length <= shown;
    more.textContent = `Show more (${count(wanted.length - shown)} left)`;
    fill(empty, all.length ? (wanted.length ? null : el("p", { class: "quiet" }, "No run matches.")) : nothing(found.folder));
    grid.hidden = !wanted.length;
    drawTray();
  }

  // A row is made again only when what it says has changed.
  function rowOf(run) {
    const key = JSON.stringify(run);
    const known = rows.get(run.id);
    if (known && known.key === key) {
      known.ago.textContent = ago(run.updated);
      return known.row;
    }
    const made = row(run, chosen, drawTray);
    rows.set(run.id, { key, ...made });
    return made.row;
  }

  function drawTray() {
    remember("chosen", [...chosen]);
    for (const [id, { row: node }] of rows) node.classList.toggle("chosen", chosen.has(id));
    tray.hidden = !chosen.size;
    const query = [...chosen].map((id) => `run=${encodeURIComponent(id)}`).join("&");
    fill(tray, el("span", {}, `${chosen.size} chosen`),
      el("a", { class: "button", href: `#/compare?${query}` }, "Side by side"),
      el("button", { type: "button", class: "plain", onclick: () => { chosen.clear(); for (const box of body.querySelectorAll("input")) box.checked = false; drawTray(); } }, "None"));
  }

  function sort(key) {
    const down = key !== "name" && key !== "state" && key !== "last" && key !== "best" && key !== "left";
    order = order.by === key ? { by: key, down: !order.down } : { by: key, down };
    remember("order", order);
    draw();
    heads.querySelector(`.${key} button`).focus();
  }

  let waiting = 0;
  const end = listen((news) => {
    for (const run of news.changed) runs.set(run.id, run);
    for (const id of news.gone) {
      runs.delete(id);
      rows.delete(id);
      chosen.delete(id);
    }
    clearTimeout(waiting);
    waiting = setTimeout(draw, 50);
  });
  const clock = setInterval(draw, 20000);
  if (found.complete === false) allRuns().then((rest) => { for (const run of rest.runs) runs.set(run.id, run); found.complete = rest.complete; draw(); });
  draw();
  return () => { end(); clearInterval(clock); clearTimeout(waiting); };
}

function matches(run, text) {
  if (!text) return true;
  const words = `${run.name} ${run.recipe} seed ${run.seed} ${run.state} ${run.reason}`.toLowerCase();
  return text.split(/\s+/).every((word) => words.includes(word));
}

function byColumn({ by, down }) {
  const of = (COLUMNS.find(([key]) => key === by) || COLUMNS[0])[2];
  return (a, b) => {
    const [x, y] = [of(a), of(b)];
    const none = (value) => value === null || value === undefined;
    if (none(x) || none(y)) return none(x) - none(y) || a.name.localeCompare(b.name);
    const found = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
    return (down ? -found : found) || a.name.localeCompare(b.name, "en", { numeric: true });
  };
}

function row(run, chosen, changed) {
  const address = `#/run/${encodeURIComponent(run.id)}`;
  const box = el("input", { type: "checkbox", "aria-label": `Choose ${run.name}`, checked: chosen.has(run.id), onchange: () => {
    if (box.checked) chosen.add(run.id);
    else chosen.delete(run.id);
    changed();
  } });
  const picture = run.sheet
    ? el("img", { src: sheetUrl(run.id, run.sheet), alt: "", loading: "lazy", decoding: "async" })
    : el("span", { class: "blank" });
  const written = el("span", {}, ago(run.updated));
  const metric = run.metric;
  const cell = (name, title, ...content) => el("td", { class: name, "data-title": title }, ...content);
  const node = el("tr", {},
    cell("pick", "", box),
    cell("thumb", "", el("a", { href: address, tabIndex: -1, "aria-hidden": "true" }, picture)),
    el("th", { scope: "row", class: "name" }, el("a", { href: address }, run.name),
      el("span", { class: "quiet" }, [run.recipe === run.name ? "" : run.recipe, `seed ${run.seed}`].filter(Boolean).join(" · "))),
    cell("state", "state", stateChip(run), run.reason ? el("span", { class: "why", title: run.reason }, run.reason) : null,
      run.progress !== null && run.state !== "finished" ? progressBar(run) : null,
      run.alarms ? el("span", { class: "alarm" }, `${run.alarms} warning${run.alarms > 1 ? "s" : ""}`) : null),
    cell("images", "images", compact(run.images), run.epoch ? el("span", { class: "quiet" }, `epoch ${short(run.epoch, 3)}`) : null),
    cell("rate", "images/s", count(run.images_per_second)),
    cell("left", "time", ...timeOf(run)),
    cell("last", "last", metric ? short(metric.last) : "–", metric ? el("span", { class: "quiet", title: metric.protocol }, metricName(metric)) : null),
    cell("best", "best", metric ? short(metric.best) : "–", metric && metric.floor !== null ? el("span", { class: "quiet" }, `real ${short(metric.floor)}`) : null),
    cell("updated", "written", written));
  node.classList.toggle("chosen", chosen.has(run.id));
  return { row: node, ago: written };
}

function timeOf(run) {
  if (run.state !== "running") return [duration(run.seconds)];
  const left = run.time_left === null ? "–" : `${duration(run.time_left)} left`;
  return [left, run.seconds ? el("span", { class: "quiet" }, `${duration(run.seconds)} so far`) : null];
}

export function metricName(metric) {
  return metric.value === "distance" ? metric.metric : `${metric.metric} ${metric.value}`;
}

export function stateChip(run) {
  return el("span", { class: `chip state-${run.state}` }, el("i", { "aria-hidden": "true" }), stateWord(run));
}

export function progressBar(run) {
  const bar = el("progress", { max: "1", value: String(run.progress), "aria-label": "How far it is" });
  return el("span", { class: "progress" }, bar, el("span", { class: "quiet" }, `${Math.floor(100 * run.progress)} %`));
}

function nothing(folder) {
  return el("section", { class: "nothing" }, el("h2", {}, "No runs yet"),
    el("p", {}, "This page shows every run below ", el("code", {}, folder), " as soon as it begins. Start one in another terminal:"),
    el("pre", {}, "ganvas train"),
    el("p", { class: "quiet" }, "Nothing has to be reloaded."));
}
