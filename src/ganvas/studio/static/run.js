// One run: its curves, every sheet, and one slider that moves all of them.

import { AXES, Chart, indexAt } from "./curves.js";
import { choice, el, fill, labelled, remember, remembered, section, table, toggle } from "./dom.js";
import { ago, compact, count, duration, short, size, value } from "./format.js";
import { fresh } from "./fresh.js";
import { metricName, progressBar, stateChip } from "./runs.js";
import { Scrubber, placeText } from "./scrubber.js";
import { fileUrl, isLive, listen, logOf, oneRun, sheetUrl } from "./source.js";

const POINTS = 6000;
const GROUPS = [
  ["Losses", "", ["D/loss", "G/loss"], ["--c1", "--c2"]],
  ["D's terms", "on real images and on fakes", ["D/loss_real", "D/loss_fake"], ["--c3", "--c4"]],
  ["D's outputs", "mean on real images and on fakes", ["D/real", "D/fake"], ["--c3", "--c4"]],
  ["D's logits on a sheet", "without dropout", ["D/real_eval", "D/fake_eval"], ["--c3", "--c4"]],
];
const SETTINGS = { axis: "images", weight: 0.6, log: false, calm: true };

export async function showRun(main, id, _query, isHere) {
  const run = await RunPage.open(id);
  if (!isHere()) return null;
  run.show(main);
  return () => run.leave();
}

class RunPage {
  static async open(id) {
    const [detail, log] = await Promise.all([oneRun(id), logOf(id, 0, POINTS)]);
    return new RunPage(id, detail, log);
  }

  constructor(id, detail, log) {
    this.id = id;
    this.detail = detail;
    this.columns = log.columns;
    this.every = log.every;
    this.offset = log.offset;
    this.view = { ...SETTINGS, ...remembered("view", {}) };
    this.charts = new Map();
    this.time = null;
    this.pictures = new Map();
    this.scrubber = new Scrubber((frame, index) => this.moveTo(frame, index));
  }

  show(main) {
    this.head = el("div", { class: "head" });
    this.alarms = el("div");
    this.sheet = el("img", { class: "sheet", alt: "" });
    this.sheetNote = el("figcaption");
    this.curves = el("div", { class: "charts" });
    this.numbers = el("div");
    this.rest = el("div", { class: "rest" });
    this.fresh = fresh(this.id);
    const reals = this.detail.reals
      ? el("figure", { class: "picture" }, el("figcaption", {}, el("h3", {}, "Real images")),
        el("img", { class: "sheet", src: fileUrl(this.id, "reals.png"), alt: "Real images, as many as a sheet has" }))
      : null;
    const stage = el("div", { class: "pictures" },
      el("figure", { class: "picture" }, this.sheetNote, this.sheet), reals,
      isLive && this.detail.generators.length ? this.fresh.node : null);
    fill(main, this.head, this.alarms,
      el("div", { class: "stage" }, stage, el("div", { class: "graphs" }, this.bar(), this.curves)),
      section("Numbers", this.numbers), this.rest, this.scrubber.node);
    this.draw();
    this.drawRest();
    this.scrubber.listen();
    this.end = listen((news) => this.hear(news));
    this.clock = setInterval(() => this.drawHead(), 10000);
  }

  leave() {
    this.end();
    clearInterval(this.clock);
    this.scrubber.forget();
    for (const chart of this.charts.values()) chart.remove();
  }

  // News

  async hear(news) {
    if (news.gone.includes(this.id)) {
      fill(this.alarms, el("p", { class: "problem", role: "alert" }, "This run's folder is gone: it was moved or deleted. What is shown here is what it held."));
    }
    const summary = news.changed.find((run) => run.id === this.id);
    if (!summary) return;
    this.detail.summary = summary;
    this.drawHead();
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    try {
      const [log, detail] = await Promise.all([logOf(this.id, this.offset, POINTS), oneRun(this.id)]);
      this.take(log);
      const files = this.detail.files.length;
      this.detail = detail;
      this.draw();
      if (files !== detail.files.length) this.drawRest();
    } catch {
      // it comes again with the next news, or is gone
    } finally {
      this.asking = false;
      if (this.again) {
        this.again = false;
        setTimeout(() => this.hear({ changed: [this.detail.summary], gone: [] }), 300);
      }
    }
  }

  take(log) {
    const before = this.columns.step ? this.columns.step.length : 0;
    this.offset = log.offset;
    if (log.rewound || !before) {
      this.columns = log.columns;
      this.every = log.every;
      return;
    }
    const added = log.columns.step ? log.columns.step.length : 0;
    if (!added) return;
    for (const key of new Set([...Object.keys(this.columns), ...Object.keys(log.columns)])) {
      const old = this.columns[key] || Array(before).fill(null);
      this.columns[key] = old.concat(log.columns[key] || Array(added).fill(null));
    }
  }

  // Drawing

  draw() {
    this.drawHead();
    this.drawAlarms();
    this.drawCurves();
    this.scrubber.set(this.frames(), this.alarmPlaces());
  }

  drawHead() {
    const run = this.detail.summary;
    document.title = `${run.name} · ganvas studio`;
    const facts = [
      ["images", compact(run.images)], run.epoch ? ["epoch", `${short(run.epoch, 3)}${run.length.includes("epoch") ? ` of ${run.length.split(" ")[0]}` : ""}`] : null,
      ["images/s", count(run.images_per_second)], ["training time", duration(run.seconds)],
      run.state === "running" ? ["time left", duration(run.time_left)] : null,
      run.metric ? [metricName(run.metric), `${short(run.metric.last)}${run.metric.best !== null ? `, best ${short(run.metric.best)}` : ""}`] : null,
      run.metric && run.metric.floor !== null ? ["real images", short(run.metric.floor)] : null,
      ["written", ago(run.updated)],
    ].filter(Boolean);
    fill(this.head,
      el("p", { class: "crumbs" }, isLive ? el("a", { href: "#/" }, "Runs") : "A run", " / ", run.recipe),
      el("h1", {}, run.name), el("div", { class: "line" }, stateChip(run), run.state === "running" && run.progress !== null ? progressBar(run) : null,
        run.reason ? el("span", { class: "why" }, run.reason) : null,
        isLive && this.detail.generators.length ? el("a", { class: "button", href: `#/play/${encodeURIComponent(this.id)}` }, "Play with its generator") : null),
      el("dl", { class: "facts" }, facts.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)))));
  }

  drawAlarms() {
    const alarms = this.detail.alarms;
    fill(this.alarms, alarms.length ? el("section", { class: "alarms", "aria-label": "What the watchdog saw" },
      el("h2", {}, "What the watchdog saw"), el("ul", {}, alarms.map((alarm) => el("li", {},
        el("button", { type: "button", class: "link", onclick: () => this.scrubber.goNear("step", alarm.step ?? 0) }, placeText(this.placed(alarm)) || "then"),
        " ", alarm.message || alarm.text || value(alarm))))) : null);
  }

  bar() {
    const set = (key) => (chosen) => {
      this.view[key] = key === "weight" ? Number(chosen) : chosen;
      remember("view", this.view);
      this.drawCurves();
    };
    const weight = el("input", { type: "range", min: "0", max: "0.99", step: "0.01", value: String(this.view.weight), "aria-label": "Smoothing" });
    weight.addEventListener("input", () => set("weight")(weight.value));
    return el("div", { class: "bar small", role: "group", "aria-label": "How curves are drawn" },
      labelled("Over", choice(Object.entries(AXES), this.view.axis, set("axis"))),
      labelled("Smooth", weight), toggle("Log scale", this.view.log, set("log")), toggle("Ignore outliers", this.view.calm, set("calm")),
      el("span", { class: "quiet hint" }, "Drag to zoom, double-click to go back, click to move the slider."));
  }

  drawCurves() {
    const x = this.columns[this.view.axis] || [];
    const used = new Set();
    const wanted = [];
    const thinned = this.every > 1 ? `every ${this.every}th line` : "";
    for (const [title, note, keys, colours] of GROUPS) {
      const there = keys.filter((key) => this.columns[key]);
      keys.forEach((key) => used.add(key));
      if (there.length) wanted.push([title, { note: note || thinned }, there.map((key) => ({ label: key, colour: colours[keys.indexOf(key)], x, y: this.columns[key] }))]);
    }
    wanted.splice(1, 0, ...this.metricCharts());
    const others = Object.keys(this.columns).filter((key) => key.includes("/") && !used.has(key));
    for (const key of others) wanted.push([key, {}, [{ label: key, colour: "--c5", x, y: this.columns[key] }]]);
    if (this.columns.images_per_second) wanted.push(["Speed", { note: "images a second" }, [{ label: "images/s", colour: "--c6", x, y: this.columns.images_per_second }]]);
    for (const [title, options, lines] of wanted) {
      if (!this.charts.has(title)) {
        const chart = new Chart(title, { ...options, marks: this.detail.alarms.map((alarm) => this.placed(alarm)), onpick: (place) => this.scrubber.goNear(this.view.axis, place) });
        this.charts.set(title, chart);
        this.curves.append(chart.node);
      }
      const chart = this.charts.get(title);
      chart.marks = this.detail.alarms.map((alarm) => this.placed(alarm));
      if (options.floor !== undefined) chart.floor = options.floor;
      chart.set(lines, { ...this.view, time: this.time });
    }
    wanted.forEach(([title], i) => { this.charts.get(title).node.style.order = i; });
  }

  // A chart a metric's value; unlike protocols apart.
  metricCharts() {
    const series = new Map();
    for (const row of this.detail.metrics) {
      if (row.step === null || row.step === undefined) continue;
      for (const [key, number] of Object.entries(row.values)) {
        if (typeof number !== "number") continue;
        const title = key === "distance" ? row.metric : `${row.metric} ${key}`;
        const which = JSON.stringify([title, row.protocol]);
        if (!series.has(which)) series.set(which, { title, row, key, points: new Map() });
        series.get(which).points.set(row.step, number);
      }
    }
    const seen = new Map();
    // of one or two numbers the table says as much
    return [...series.values()].filter(({ points }) => points.size > 2).map(({ title, row, key, points }) => {
      const again = (seen.get(title) || 0) + 1;
      seen.set(title, again);
      const steps = [...points.keys()].sort((a, b) => a - b);
      const x = steps.map((step) => this.placed({ step })[this.view.axis]);
      const floor = row.floor && typeof row.floor[key] === "number" ? row.floor[key] : null;
      return [again > 1 ? `${title} (${again})` : title, { note: row.extractor || "", floor }, [{ label: title, colour: "--c1", points: true, x, y: steps.map((step) => points.get(step)) }]];
    });
  }

  // Time

  frames() {
    const sheets = this.detail.sheets.filter((sheet) => sheet.step !== null);
    if (sheets.length) return sheets.map((sheet) => ({ ...this.placed(sheet), file: sheet.file }));
    const steps = this.columns.step || [];
    const every = Math.max(1, Math.ceil(steps.length / 500));
    return steps.filter((_, i) => i % every === 0 || i === steps.length - 1).map((step) => this.placed({ step }));
  }

  // A place in training on all axes, from its step.
  placed({ step, images, epoch }) {
    const { columns } = this;
    const steps = columns.step || [];
    if (step === null || step === undefined || !steps.length) return { step, images, epoch, seconds: null };
    const at = indexAt(steps, step);
    const between = (key) => {
      const column = columns[key];
      if (!column) return null;
      const [before, after] = [at, Math.min(at + 1, steps.length - 1)];
      const low = before < 0 ? 0 : column[before];
      const from = before < 0 ? 0 : steps[before];
      const share = steps[after] > from ? (step - from) / (steps[after] - from) : 0;
      return low + (column[after] - low) * Math.min(1, share);
    };
    return { step, images: images ?? between("images"), epoch: epoch ?? between("epoch"), seconds: between("seconds") };
  }

  alarmPlaces() {
    const frames = this.frames();
    if (frames.length < 2) return [];
    return this.detail.alarms.filter((alarm) => alarm.step).map((alarm) => Math.max(0, indexAt(frames.map((frame) => frame.step), alarm.step)) / (frames.length - 1));
  }

  moveTo(frame, index) {
    this.time = frame;
    for (const chart of this.charts.values()) chart.setTime(frame);
    if (frame.file) {
      this.picture(frame.file);
      fill(this.sheetNote, el("h3", {}, "The same latents"), el("span", { class: "quiet" }, placeText(frame)));
      this.sheet.alt = `Sample sheet at ${placeText(frame)}`;
      for (const ahead of this.scrubber.frames.slice(index + 1, index + 9)) this.load(ahead.file);
    } else {
      fill(this.sheetNote, el("h3", {}, "No sheet yet"));
    }
    this.fresh.at(this.detail, frame);
    this.drawNumbers();
  }

  // A sheet is decoded before it is shown, so that playing does not flicker.
  load(file) {
    if (!this.pictures.has(file)) {
      const picture = new Image();
      picture.src = sheetUrl(this.id, file);
      this.pictures.set(file, picture);
      if (this.pictures.size > 400) this.pictures.delete(this.pictures.keys().next().value);
    }
    return this.pictures.get(file);
  }

  async picture(file) {
    this.wanted = file;
    const picture = this.load(file);
    const decoded = picture.decode().catch(() => this.pictures.delete(file));
    await Promise.race([decoded, new Promise((enough) => setTimeout(enough, 200))]);
    if (this.wanted === file && this.sheet.src !== picture.src) this.sheet.src = picture.src;
  }

  drawNumbers() {
    const series = new Map();
    for (const row of this.detail.metrics) {
      for (const [key, number] of Object.entries(row.values)) {
        const name = key === "distance" ? row.metric : `${row.metric} ${key}`;
        const which = JSON.stringify([name, row.protocol]);
        if (!series.has(which)) series.set(which, { name, key, rows: [] });
        series.get(which).rows.push({ row, number });
      }
    }
    const now = this.time && this.time.step;
    const rows = [...series.values()].map(({ name, key, rows: all }) => {
      const then = all.filter(({ row }) => row.step === null || row.step === undefined || now === null || row.step <= now);
      const last = all[all.length - 1];
      const shown = then[then.length - 1];
      const interval = shown && shown.row.intervals && shown.row.intervals[key];
      const floor = last.row.floor && last.row.floor[key];
      return [name, shown ? el("b", {}, short(shown.number)) : "–", interval ? `${short(interval[0])} to ${short(interval[1])}` : "", shown && shown.row.images ? compact(shown.row.images) : "", short(last.number), short(floor), el("span", { class: "quiet" }, last.row.protocol)];
    });
    fill(this.numbers, rows.length
      ? table("Numbers", ["metric", "at the slider", "95 % interval", "measured at images", "newest", "real images", "protocol"], rows, { class: "numbers" })
      : el("p", { class: "quiet" }, "Nothing measured yet."));
  }

  drawRest() {
    const { settings, environment, files } = this.detail;
    const open = (title, ...content) => el("details", {}, el("summary", {}, title), ...content);
    const changed = settings.filter((one) => one.changed).length;
    fill(this.rest,
      open(`Settings (${settings.length}${changed ? `, ${changed} not the recipe's` : ""})`, table("Settings", ["setting", "value", "why"], settings.map((one) => [
        one.setting, el("span", { class: one.changed ? "changed" : "" }, value(one.value)),
        one.changed ? el("span", { class: "quiet" }, `the recipe has ${value(one.recipe)}`) : el("span", { class: "quiet" }, one.reason)]))),
      open("Environment", table("Environment", ["", ""], environment.map(([key, one]) => [key, value(one)]))),
      isLive ? open(`Files (${files.length})`, table("Files", ["file", "size"], files.map((one) => [
        el("a", { href: fileUrl(this.id, one.file), download: one.file.replaceAll("/", "-") }, one.file), size(one.bytes)]))) : null);
  }
}
