// Chosen runs beside each other: one slider over all, one axis, what differs, the numbers.

import { AXES, Chart, indexAt } from "./curves.js";
import { choice, el, fill, labelled, remember, remembered, section, table, toggle } from "./dom.js";
import { compact, short, value } from "./format.js";
import { stateChip } from "./runs.js";
import { Scrubber } from "./scrubber.js";
import { ask, listen, logOf, oneRun, raw, sheetUrl } from "./source.js";

const POINTS = 1500;
const SCALARS = ["D/loss", "G/loss", "D/real", "D/fake"];
const COLOURS = 10;

export async function showSideBySide(main, _id, query, isHere) {
  const ids = [...new Set(query.getAll("run"))];
  if (!ids.length) throw new Error("No runs are chosen; tick some on the page of all runs.");
  const runs = await Promise.all(ids.map(async (id, i) => {
    const [detail, log] = await Promise.all([oneRun(id), logOf(id, 0, POINTS)]);
    return { id, detail, columns: log.columns, offset: log.offset, colour: `--c${(i % COLOURS) + 1}`, dash: i >= COLOURS ? [6, 3] : undefined };
  }));
  if (!isHere()) return null;
  const page = new SideBySide(ids, runs);
  page.show(main);
  return () => page.leave();
}

class SideBySide {
  constructor(ids, runs) {
    this.ids = ids;
    this.runs = runs;
    this.view = { axis: "images", weight: 0.8, log: false, calm: true, ...remembered("view", {}) };
    this.charts = new Map();
    this.time = null;
    this.scrubber = new Scrubber((frame) => this.moveTo(frame));
  }

  show(main) {
    document.title = "Side by side · ganvas studio";
    this.cards = el("div", { class: "cards" });
    this.curves = el("div", { class: "charts" });
    this.numbers = el("div", {}, el("p", { class: "quiet" }, "Comparing…"));
    this.latents = el("div");
    const set = (key) => (chosen) => {
      this.view[key] = key === "weight" ? Number(chosen) : chosen;
      remember("view", this.view);
      this.drawCurves();
      if (key === "axis") this.scrubber.set(this.frames());
    };
    const weight = el("input", { type: "range", min: "0", max: "0.99", step: "0.01", value: String(this.view.weight), "aria-label": "Smoothing" });
    weight.addEventListener("input", () => set("weight")(weight.value));
    fill(main,
      el("div", { class: "head" }, el("p", { class: "crumbs" }, el("a", { href: "#/" }, "Runs"), " / side by side"),
        el("h1", {}, `${this.runs.length} runs side by side`)),
      this.cards,
      section("Curves", el("div", { class: "bar small" },
        labelled("Over", choice(Object.entries(AXES), this.view.axis, set("axis"))),
        labelled("Smooth", weight), toggle("Log scale", this.view.log, set("log")), toggle("Ignore outliers", this.view.calm, set("calm"))), this.curves),
      section("Numbers, as ganvas compare has them", this.numbers),
      section("What differs", this.differences()),
      section("The same seed", el("p", { class: "quiet" }, "Each run's newest generator, drawn from one seed."), this.latents),
      this.scrubber.node);
    this.drawCards();
    this.drawCurves();
    this.scrubber.set(this.frames());
    this.drawLatents();
    this.compare();
    this.scrubber.listen();
    this.end = listen((news) => this.hear(news));
  }

  leave() {
    this.end();
    this.scrubber.forget();
    for (const chart of this.charts.values()) chart.remove();
  }

  async hear(news) {
    for (const run of this.runs) {
      const summary = news.changed.find((one) => one.id === run.id);
      if (!summary || run.asking) continue;
      run.asking = true;
      try {
        const [log, detail] = await Promise.all([logOf(run.id, 0, POINTS), oneRun(run.id)]);
        run.columns = log.columns;
        run.detail = detail;
      } catch {
        continue;
      } finally {
        run.asking = false;
      }
      this.drawCards();
      this.drawCurves();
      this.scrubber.set(this.frames());
    }
  }

  drawCards() {
    fill(this.cards, this.runs.map((run) => {
      run.picture = el("img", { class: "sheet", alt: "" });
      run.note = el("span", { class: "quiet" });
      const swatch = el("span", { class: "swatch" });
      swatch.style.background = `var(${run.colour})`;
      const others = this.ids.filter((id) => id !== run.id);
      const less = `#/compare?${others.map((id) => `run=${encodeURIComponent(id)}`).join("&")}`;
      return el("figure", { class: "picture" },
        el("figcaption", {}, el("h3", {}, swatch, el("a", { href: `#/run/${encodeURIComponent(run.id)}` }, run.detail.summary.name)),
          stateChip(run.detail.summary), others.length ? el("a", { class: "less", href: less, "aria-label": `Without ${run.detail.summary.name}` }, "×") : null, run.note),
        run.detail.sheets.length ? run.picture : el("p", { class: "quiet" }, "No sheet yet."));
    }));
    if (this.time) this.moveTo(this.time);
  }

  lines(pick) {
    return this.runs.map((run) => {
      const found = pick(run);
      return found && found.x.length ? { label: run.detail.summary.name, colour: run.colour, dash: run.dash, ...found } : null;
    }).filter(Boolean);
  }

  drawCurves() {
    const { axis } = this.view;
    const scalars = SCALARS.map((key) => [key, null, this.lines((run) => run.columns[key] && { x: run.columns[axis], y: run.columns[key] })]);
    const metrics = new Map();
    for (const run of this.runs) {
      for (const row of run.detail.metrics) {
        if (typeof row.step !== "number") continue;
        for (const [key, number] of Object.entries(row.values)) {
          if (typeof number !== "number") continue;
          // unlike protocols never share a chart
          const name = key === "distance" ? row.metric : `${row.metric} ${key}`;
          const which = JSON.stringify([name, row.protocol]);
          if (!metrics.has(which)) metrics.set(which, { name, floor: row.floor ? row.floor[key] : null, of: new Map() });
          const { of } = metrics.get(which);
          if (!of.has(run.id)) of.set(run.id, new Map());
          of.get(run.id).set(row.step, { place: this.placeOf(run, row), number });
        }
      }
    }
    const seen = new Map();
    const wanted = [];
    for (const { name, floor, of } of metrics.values()) {
      if (![...of.values()].some((points) => points.size > 2)) continue; // the table has those
      const again = (seen.get(name) || 0) + 1;
      seen.set(name, again);
      const lines = this.lines((run) => {
        const points = [...(of.get(run.id) || new Map()).values()].filter(({ place }) => place !== null).sort((a, b) => a.place - b.place);
        return points.length ? { points: true, x: points.map(({ place }) => place), y: points.map(({ number }) => number) } : null;
      });
      wanted.push([again > 1 ? `${name} (${again})` : name, typeof floor === "number" ? floor : null, lines]);
    }
    for (const [title, floor, lines] of [...wanted, ...scalars]) {
      if (!lines.length) continue;
      if (!this.charts.has(title)) {
        const chart = new Chart(title, { floor, onpick: (place) => this.scrubber.goNear(this.view.axis, place) });
        this.charts.set(title, chart);
        this.curves.append(chart.node);
      }
      this.charts.get(title).set(lines, { ...this.view, time: this.time });
    }
  }

  // Where a step lies on the chosen axis of a run.
  placeOf(run, { step, images }) {
    if (this.view.axis === "step") return step;
    if (this.view.axis === "images" && typeof images === "number") return images;
    const at = indexAt(run.columns.step || [], step);
    return at < 0 ? null : run.columns[this.view.axis][at];
  }

  // The slider goes over all places at which any run drew a sheet.
  frames() {
    const { axis } = this.view;
    const places = new Set();
    for (const run of this.runs) {
      run.placed = run.detail.sheets.filter((sheet) => sheet.step !== null)
        .map((sheet) => ({ file: sheet.file, place: this.placeOf(run, sheet) })).filter(({ place }) => place !== null);
      for (const { place } of run.placed) places.add(place);
    }
    return [...places].sort((a, b) => a - b).map((place) => ({ [axis]: place }));
  }

  moveTo(frame) {
    this.time = frame;
    const place = frame[this.view.axis];
    for (const chart of this.charts.values()) chart.setTime(frame);
    for (const run of this.runs) {
      const at = indexAt((run.placed || []).map((sheet) => sheet.place), place);
      run.picture.hidden = at < 0;
      const text = at < 0 ? "nothing drawn yet" : `at ${compact(run.placed[at].place)} ${AXES[this.view.axis]}`;
      run.note.textContent = text;
      run.picture.alt = `${run.detail.summary.name} ${text}`;
      if (at < 0) continue;
      const address = sheetUrl(run.id, run.placed[at].file);
      if (run.address !== address || !run.picture.src) run.picture.src = address;
      run.address = address;
      const next = run.placed[at + 1];
      if (next) new Image().src = sheetUrl(run.id, next.file);
    }
  }

  differences() {
    const all = this.runs.map((run) => new Map(run.detail.settings.map((one) => [one.setting, value(one.value)])));
    const keys = [...new Set(all.flatMap((one) => [...one.keys()]))];
    const unlike = keys.filter((key) => new Set(all.map((one) => one.get(key))).size > 1);
    if (!unlike.length) return el("p", { class: "quiet" }, "Their settings are the same.");
    return table("Settings that differ", ["setting", ...this.runs.map((run) => run.detail.summary.name)],
      unlike.map((key) => [key, ...all.map((one) => one.get(key) ?? el("span", { class: "quiet" }, "unset"))]));
  }

  async compare() {
    try {
      const found = await ask(`compare?${this.ids.map((id) => `run=${encodeURIComponent(id)}`).join("&")}`);
      fill(this.numbers, el("p", { class: "headline" }, found.headline), comparisonTable(found),
        found.remarks.length ? el("ul", {}, found.remarks.map((remark) => el("li", {}, remark))) : null,
        protocols(found));
    } catch (error) {
      fill(this.numbers, el("p", { class: "quiet" }, error.message));
    }
  }

  drawLatents() {
    const grid = el("div", { class: "cards" });
    const seed = el("input", { type: "number", min: "0", max: "4294967295", value: "0" });
    const draw = async () => {
      fill(grid, this.runs.map((run) => el("figure", { class: "picture" }, el("figcaption", {}, el("h3", {}, run.detail.summary.name)), run.drawn = el("div"))));
      for (const run of this.runs) {
        if (!run.detail.generators.length) {
          fill(run.drawn, el("p", { class: "quiet" }, "No generator yet."));
          continue;
        }
        try {
          const blob = await (await raw(`generators/${encodeURIComponent(run.id)}/samples.png?num=16&seed=${seed.value}`)).blob();
          fill(run.drawn, el("img", { class: "sheet", src: URL.createObjectURL(blob), alt: `16 samples of seed ${seed.value}` }));
        } catch (error) {
          fill(run.drawn, el("p", { class: "quiet" }, error.message));
        }
      }
    };
    fill(this.latents, el("div", { class: "bar" }, labelled("Seed", seed), el("button", { type: "button", class: "plain", onclick: draw }, "Draw")), grid);
  }
}

function comparisonTable(found) {
  const columns = found.columns.filter((column) => column.metric !== "seconds");
  const rows = [];
  const best = columns.map((column) => {
    const means = column.groups.map((one) => one.mean).filter((mean) => mean !== null);
    if (means.length < 2 || !["lower", "higher"].includes(column.better)) return null;
    return column.better === "lower" ? Math.min(...means) : Math.max(...means);
  });
  found.groups.forEach((group, i) => {
    const cells = columns.map((column, j) => {
      const one = column.groups[i];
      if (one.mean === null) return "–";
      const text = one.deviation ? `${short(one.mean)} ± ${short(one.deviation, 2)}` : short(one.mean);
      return one.mean === best[j] ? el("b", {}, text) : text;
    });
    rows.push([el("b", {}, group.name), `${group.runs.length}`, ...cells]);
  });
  const floors = columns.map((column) => (column.real_images.length ? column.real_images.map((floor) => short(floor)).join(" to ") : ""));
  if (floors.some(Boolean)) rows.push([el("span", { class: "quiet" }, "real images"), "", ...floors.map((text) => el("span", { class: "quiet" }, text))]);
  return table("Numbers", ["group", "seeds", ...columns.map((column) => column.label)], rows, { class: "numbers" });
}

function protocols(found) {
  const marked = found.columns.filter((column) => Object.keys(column.protocol).length);
  return el("details", {}, el("summary", {}, "Protocols"), table("Protocols", ["number", "depends on"], marked.map((column) => [
    column.label, Object.entries(column.protocol).filter(([, one]) => one !== null && one !== "").map(([key, one]) => `${key} ${value(one).slice(0, 60)}`).join(", ")])));
}
