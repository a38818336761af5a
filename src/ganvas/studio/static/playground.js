// A generator to play with: samples of a seed, one latent's sliders, walks, pinned points.

import { choice, el, fill, labelled, section } from "./dom.js";
import { named } from "./fresh.js";
import { compact, count, short } from "./format.js";
import { between, wander } from "./latents.js";
import { Painter, paint } from "./painter.js";
import { ask, oneRun, raw, tell } from "./source.js";

const SLIDERS = 24;
const STRIP = 9;

export async function showPlayground(main, id, query, isHere) {
  const { generators } = await ask("generators");
  if (!isHere()) return null;
  if (!generators.length) {
    fill(main, section("Playground", el("p", {}, "There is no generator yet; a run writes one with its first checkpoint.")));
    return null;
  }
  const chosen = generators.find((one) => one.id === id) || generators[0];
  fill(main, el("div", { class: "head" }, el("h1", {}, "Playground"), el("p", { class: "quiet", role: "status" }, "Loading the generator… (the first one takes a few seconds)")));
  const detail = chosen.kind === "run" ? await oneRun(chosen.id) : null;
  const page = new Playground(chosen, generators, detail);
  await page.open(query.get("which") || "newest");
  if (!isHere()) return null;
  page.show(main);
  return () => page.leave();
}

class Playground {
  constructor(chosen, generators, detail) {
    this.id = chosen.id;
    this.chosen = chosen;
    this.generators = generators;
    this.detail = detail;
    this.seed = 0;
    this.num = 16;
    this.label = -1; // any
    this.truncation = 1;
    this.raw = 0;
    this.pins = [];
    this.all = false;
  }

  get place() {
    return `generators/${encodeURIComponent(this.id)}`;
  }

  get asked() {
    return `which=${encodeURIComponent(this.which)}&raw=${this.raw}`;
  }

  get classQuery() {
    const truncated = this.truncation < 1 ? `&truncation=${this.truncation}` : "";
    return this.facts.classes.length && this.label >= 0 ? `&class=${encodeURIComponent(this.facts.classes[this.label])}${truncated}` : truncated;
  }

  // The class of what is drawn from latents, for generators that take one.
  get classes() {
    return this.facts.classes.length ? [this.label >= 0 ? this.label : this.drawnLabel || 0] : undefined;
  }

  async open(which) {
    this.which = which;
    this.facts = await ask(`${this.place}?${this.asked}`);
    this.painter = new Painter((z) => this.draw(z));
    this.painter.ondraw = (image) => paint(this.one, image);
  }

  async draw(z) {
    return tell(`${this.place}/draw`, { which: this.which, raw: this.raw, z, classes: this.classes });
  }

  show(main) {
    document.title = `Playground: ${this.chosen.name} · ganvas studio`;
    const run = (id) => { location.hash = `#/play/${encodeURIComponent(id)}`; };
    this.grid = el("div", { class: "tiles" });
    this.one = el("canvas", { class: "one", role: "img", "aria-label": "The image of the sliders' latent" });
    this.sliders = el("div", { class: "sliders" });
    this.problem = el("p", { class: "problem", role: "alert", hidden: true });
    this.near = el("div");
    this.pinned = el("div");
    this.commands = el("div");
    this.whichControl = el("span", { class: "which" });
    fill(main,
      el("div", { class: "head" }, el("h1", {}, "Playground"),
        el("div", { class: "bar" },
          labelled("Generator", choice(this.generators.map((one) => [one.id, one.kind === "pretrained" ? `${one.name} (pretrained)` : one.name]), this.id, run)), this.whichControl),
        el("p", { class: "quiet" }, this.about())),
      this.problem,
      el("div", { class: "play" },
        section("Samples", this.sampleBar(), this.grid, this.downloads()),
        section("One latent", el("div", { class: "onebox" }, this.one, el("div", {}, this.oneBar(), this.near)), this.sliders)),
      section("From point to point", this.pinned),
      section("The same from a terminal", this.commands));
    this.drawWhich();
    this.drawPins();
    this.drawSamples();
  }

  leave() {
    this.stopWalk();
    this.stopWay();
  }

  about() {
    const { recipe, shape, dims, parameters, images } = this.facts;
    return [recipe, `${shape[2]}×${shape[1]}${shape[0] === 1 ? " grey" : " colour"}`, `${dims} latent values`, `${count(parameters)} parameters`, images ? `${compact(images)} real images shown` : ""].filter(Boolean).join(" · ");
  }

  fail(error) {
    this.problem.textContent = error ? error.message : "";
    this.problem.hidden = !error;
  }

  // Which weights: a slider over the checkpoints, if there are several

  drawWhich() {
    if (!this.detail) return;
    const all = this.detail.generators;
    const order = [...all].sort((a, b) => (a.step ?? Infinity) - (b.step ?? Infinity));
    const swap = async (which) => {
      try {
        this.which = which;
        this.facts = await ask(`${this.place}?${this.asked}`);
        this.fail(null);
        this.drawSamples(true);
        this.drawWhich();
      } catch (error) {
        this.fail(error);
      }
    };
    const control = choice(order.map((one) => [one.which, named(one)]), this.which, swap);
    const averaged = this.facts.averaged
      ? choice([["0", "averaged weights (EMA)"], ["1", "raw weights"]], String(this.raw), (chosen) => { this.raw = Number(chosen); swap(this.which); })
      : null;
    fill(this.whichControl, labelled("Weights", control), averaged ? labelled("of", averaged) : null);
  }

  // Samples of a seed

  sampleBar() {
    const seed = el("input", { type: "number", min: "0", max: "4294967295", step: "1", value: String(this.seed) });
    seed.addEventListener("change", () => { this.seed = Math.max(0, Math.min(2 ** 32 - 1, Math.floor(Number(seed.value)) || 0)); seed.value = String(this.seed); this.drawSamples(); });
    const another = () => { this.seed = Math.floor(Math.random() * 1e6); seed.value = String(this.seed); this.drawSamples(); };
    const num = choice(["9", "16", "25", "36", "64"].map((one) => [one, one]), String(this.num), (chosen) => { this.num = Number(chosen); this.drawSamples(); });
    const classes = this.facts.classes.length
      ? labelled("Class", choice([["-1", "any"], ...this.facts.classes.map((name, i) => [String(i), name])], "-1", (chosen) => { this.label = Number(chosen); this.drawSamples(); }))
      : null;
    const truncation = el("input", { type: "range", min: "0", max: "1", step: "0.05", value: "1" });
    const text = el("output", {}, "1");
    truncation.addEventListener("input", () => { this.truncation = Number(truncation.value); text.textContent = truncation.value; this.drawSamples(true); });
    return el("div", { class: "bar" }, labelled("Seed", seed), el("button", { type: "button", onclick: another }, "New seed"), labelled("Images", num), classes,
      el("label", { title: "Below 1: latents nearer to their mean, for more typical images" }, el("span", {}, "Truncation"), truncation, text));
  }

  async drawSamples(keep = false) {
    const mine = (this.turn = (this.turn || 0) + 1);
    try {
      const query = `seed=${this.seed}&num=${this.num}&${this.asked}`;
      const [images, { z, classes }] = await Promise.all([raw(`${this.place}/samples.bin?${query}${this.classQuery}`), ask(`${this.place}/latents?${query}&truncation=${this.truncation}`)]);
      const canvases = await paintAll(images);
      if (mine !== this.turn) return;
      this.fail(null);
      this.samples = z;
      this.labels = classes;
      this.grid.style.setProperty("--columns", Math.ceil(Math.sqrt(this.num)));
      fill(this.grid, canvases.map((canvas, i) => el("button", { type: "button", class: "tile", "aria-label": `Sample ${i + 1}`, onclick: () => this.take(i) }, canvas)));
      this.take(keep && this.picked !== undefined && this.picked < z.length ? this.picked : 0);
      this.drawCommands();
    } catch (error) {
      if (mine === this.turn) this.fail(error);
    }
  }

  take(i) {
    this.stopWalk();
    this.picked = i;
    this.drawnLabel = this.labels ? this.labels[i] : null;
    this.z = [...this.samples[i]];
    for (const [j, tile] of [...this.grid.children].entries()) tile.classList.toggle("picked", j === i);
    fill(this.near);
    this.drawSliders();
    this.painter.want([this.z]);
  }

  downloads() {
    const link = (form) => el("button", { type: "button", class: "plain small", onclick: () => this.save(`samples.${form}?seed=${this.seed}&num=${this.num}&${this.asked}${this.classQuery}`, `samples-seed${this.seed}.${form}`) }, form.toUpperCase());
    const walk = el("button", { type: "button", class: "plain small", onclick: () => this.save(`walk.gif?seed=${this.seed}&${this.asked}`, `walk-seed${this.seed}.gif`) }, "Walk as GIF");
    return el("div", { class: "bar small below" }, el("span", { class: "quiet" }, "Save"), link("png"), link("npz"), walk);
  }

  async save(path, name) {
    try {
      saveBlob(await (await raw(`${this.place}/${path}`)).blob(), name);
    } catch (error) {
      this.fail(error);
    }
  }

  // One latent

  oneBar() {
    this.walkButton = el("button", { type: "button", "aria-pressed": "false", onclick: () => (this.walking ? this.stopWalk() : this.startWalk()) }, "Random walk");
    this.speed = el("input", { type: "range", min: "0.2", max: "4", step: "0.1", value: "1", "aria-label": "Speed of the walk" });
    return el("div", { class: "bar stack" }, this.walkButton, labelled("Speed", this.speed),
      el("button", { type: "button", class: "plain", onclick: () => this.take(this.picked) }, "Back to the sample"),
      el("button", { type: "button", class: "plain", onclick: () => this.pin() }, "Pin this point"),
      this.chosen.kind === "run" ? el("button", { type: "button", class: "plain", onclick: () => this.findNearest() }, "Nearest training images") : null);
  }

  drawSliders() {
    const { dims, bound } = this.facts;
    const shown = this.all ? dims : Math.min(dims, SLIDERS);
    if (this.sliders.childElementCount !== shown + (dims > SLIDERS ? 1 : 0)) {
      this.ranges = Array.from({ length: shown }, (_, i) => {
        const range = el("input", { type: "range", min: String(-bound), max: String(bound), step: "0.01", "aria-label": `Latent value ${i + 1}` });
        range.addEventListener("input", () => { this.stopWalk(); this.z[i] = Number(range.value); range.nextSibling.textContent = this.z[i].toFixed(2); this.painter.want([this.z]); });
        range.addEventListener("dblclick", () => { this.z[i] = 0; this.drawSliders(); this.painter.want([this.z]); });
        return range;
      });
      fill(this.sliders, this.ranges.map((range, i) => el("label", {}, el("span", {}, String(i + 1)), range, el("output", {}))),
        dims > SLIDERS ? el("button", { type: "button", class: "plain small", onclick: () => { this.all = !this.all; this.drawSliders(); } }, this.all ? "Fewer" : `All ${dims}`) : null);
    }
    for (const [i, range] of this.ranges.entries()) {
      range.value = String(this.z[i]);
      range.nextSibling.textContent = this.z[i].toFixed(2);
    }
  }

  startWalk() {
    this.stopWay();
    this.walking = wander(this.z, this.facts);
    this.walkButton.textContent = "Stop the walk";
    this.walkButton.setAttribute("aria-pressed", "true");
    const step = async () => {
      if (!this.walking) return;
      this.z = this.walking.next(0.03 * Number(this.speed.value));
      this.drawSliders();
      await this.painter.want([this.z]);
      if (this.walking) this.walkTimer = setTimeout(step, 40);
    };
    step();
  }

  stopWalk() {
    this.walking = null;
    clearTimeout(this.walkTimer);
    if (!this.walkButton) return;
    this.walkButton.textContent = "Random walk";
    this.walkButton.setAttribute("aria-pressed", "false");
  }

  async findNearest() {
    this.stopWalk();
    fill(this.near, el("p", { class: "quiet" }, "Looking through the training images…"));
    try {
      const response = await tell(`${this.place}/nearest`, { which: this.which, raw: this.raw, z: [this.z], classes: this.classes });
      const distances = response.headers.get("X-Distances").split(",").map(Number);
      const canvases = await paintAll(response);
      fill(this.near, el("h3", {}, "Nearest training images"), el("p", { class: "quiet" }, "By their pixels: root mean square of the difference, 0 to 1."),
        el("div", { class: "neighbours" }, canvases.map((canvas, i) => el("figure", {}, canvas, el("figcaption", {}, short(distances[i], 3))))));
    } catch (error) {
      fill(this.near, el("p", { class: "quiet" }, error.message));
    }
  }

  // Pinned points

  pin() {
    this.pins.push({ z: [...this.z], name: this.picked !== undefined ? `seed ${this.seed}, sample ${this.picked + 1}` : "" });
    this.drawPins();
  }

  async drawPins() {
    const { pins } = this;
    if (pins.length < 2) {
      fill(this.pinned, el("p", { class: "quiet" }, pins.length ? "One point is pinned; pin another." : "Pin two or more points above, and go from one to the next."),
        el("div", { class: "strip" }, pins.map((pin) => this.pinTile(pin))));
      if (pins.length) this.fillPins();
      return;
    }
    this.way = el("input", { type: "range", min: "0", max: String(pins.length - 1), step: "0.01", value: "0", "aria-label": "The way through the pinned points" });
    this.way.addEventListener("input", () => { this.stopWay(); this.goAlong(Number(this.way.value)); });
    this.wayButton = el("button", { type: "button", onclick: () => (this.going ? this.stopWay() : this.startWay()) }, "Play");
    this.wayStrip = el("div", { class: "strip thin" });
    const gif = async () => {
      const body = { which: this.which, raw: this.raw, z: pins.map((pin) => pin.z), frames: Math.min(240, 24 * pins.length), classes: this.classes };
      try {
        saveBlob(await (await tell(`${this.place}/way.gif`, body)).blob(), "way.gif");
      } catch (error) {
        this.fail(error);
      }
    };
    fill(this.pinned, el("div", { class: "strip" }, pins.map((pin) => this.pinTile(pin))), this.wayStrip,
      el("div", { class: "bar" }, this.wayButton, labelled("", this.way, { class: "wide" }),
        el("button", { type: "button", class: "plain", onclick: gif }, "Save as GIF"),
        el("button", { type: "button", class: "plain", onclick: () => { this.pins = []; this.stopWay(); this.drawPins(); } }, "Unpin all")));
    this.fillPins();
    const way = Array.from({ length: STRIP }, (_, i) => this.along((i * (pins.length - 1)) / (STRIP - 1)));
    try {
      fill(this.wayStrip, await paintAll(await this.draw(way)));
    } catch (error) {
      this.fail(error);
    }
  }

  pinTile(pin) {
    pin.place = el("div");
    return el("figure", { class: "pin" }, pin.place, el("figcaption", {}, pin.name,
      el("button", { type: "button", class: "icon", "aria-label": `Unpin ${pin.name}`, onclick: () => { this.pins = this.pins.filter((one) => one !== pin); this.stopWay(); this.drawPins(); } }, "×")));
  }

  async fillPins() {
    const pins = [...this.pins].slice(0, 64);
    const canvases = await paintAll(await this.draw(pins.map((pin) => pin.z)));
    for (const [i, pin] of pins.entries()) fill(pin.place, canvases[i]);
  }

  along(place) {
    const at = Math.min(Math.floor(place), this.pins.length - 2);
    return between(this.pins[at].z, this.pins[at + 1].z, place - at, this.facts.spherical);
  }

  goAlong(place) {
    this.z = this.along(place);
    this.drawSliders();
    return this.painter.want([this.z]);
  }

  startWay() {
    this.stopWalk();
    this.going = true;
    this.wayButton.textContent = "Stop";
    let place = Number(this.way.value);
    const last = this.pins.length - 1;
    let by = 0.02;
    const step = async () => {
      if (!this.going) return;
      place += by * Number(this.speed.value);
      if (place >= last || place <= 0) by = -by;
      place = Math.max(0, Math.min(last, place));
      this.way.value = String(place);
      await this.goAlong(place);
      if (this.going) setTimeout(step, 40);
    };
    step();
  }

  stopWay() {
    this.going = false;
    if (this.wayButton) this.wayButton.textContent = "Play";
  }

  // What makes the same without this page

  drawCommands() {
    const path = this.chosen.path;
    const what = this.which === "newest" ? path : this.which === "best" ? `${path}/best` : null;
    if (!what || this.raw) {
      fill(this.commands, el("p", { class: "quiet" }, "The command line draws with a run's newest and best generator; choose one of these."));
      return;
    }
    const label = this.facts.classes.length && this.label >= 0 ? this.facts.classes[this.label] : null;
    const options = [`--seed ${this.seed}`, label === null ? "" : `--class ${quoted(label)}`, this.truncation < 1 ? `--truncation ${this.truncation}` : ""].filter(Boolean).join(" ");
    const named = `samples-seed${this.seed}`;
    const lines = [`ganvas sample ${quoted(what)} --num ${this.num} ${options} --grid ${named}.png --npz ${named}.npz`, `ganvas sample ${quoted(what)} ${options} --walk walk-seed${this.seed}.gif`];
    const more = [label === null ? "" : `, labels=${JSON.stringify(label)}`, this.truncation < 1 ? `, truncation=${this.truncation}` : ""].join("");
    const python = ["import ganvas", "", `generator = ganvas.load(${JSON.stringify(what)})`, `images = generator.sample(${this.num}, seed=${this.seed}${more})  # uint8, (${[this.num, ...this.facts.shape].join(", ")})`];
    fill(this.commands, el("pre", {}, lines.join("\n")), el("pre", {}, python.join("\n")));
  }
}

function quoted(path) {
  return /^[\w./~+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

async function paintAll(response) {
  const [num, channels, height, width] = response.headers.get("X-Shape").split(",").map(Number);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const size = channels * height * width;
  return Array.from({ length: num }, (_, i) => {
    const canvas = el("canvas");
    paint(canvas, { bytes: bytes.subarray(i * size, (i + 1) * size), channels, height, width });
    return canvas;
  });
}

function saveBlob(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
