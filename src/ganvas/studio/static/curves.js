// Curves over training: raw and smoothed, on one axis for a page, with the time slider's place.

import { el, fill } from "./dom.js";
import { compact, duration, short } from "./format.js";

export const AXES = { images: "images", epoch: "epochs", seconds: "seconds", step: "steps" };
const charts = new Set();

export function redrawAll() {
  for (const chart of charts) chart.rebuild();
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#888";
}

// Exponential moving average that starts without a bias towards zero. The weight is that of a log of
// 300 lines, so that a curve looks as smooth however many lines it has.
export function smoothed(values, strength) {
  if (!strength) return values;
  const weight = strength ** (300 / Math.max(values.length, 1));
  let sum = 0;
  let norm = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return null;
    sum = weight * sum + (1 - weight) * value;
    norm = weight * norm + (1 - weight);
    return sum / norm;
  });
}

// The value at, or last before, a place on a rising axis; -1 if there is none.
export function indexAt(axis, place) {
  let low = 0;
  let high = axis.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (axis[middle] <= place) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// A chart of lines {label, colour: "--c1", x: [...], y: [...], points: bool}, all on one x axis.
export class Chart {
  constructor(title, { note = "", floor = null, marks = [], onpick = null } = {}) {
    this.title = title;
    this.lines = [];
    this.floor = floor;
    this.marks = marks;
    this.onpick = onpick;
    this.view = { axis: "images", weight: 0, log: false, calm: true, time: null };
    this.hidden = new Set();
    this.legend = el("div", { class: "legend" });
    this.canvas = el("div", { class: "plot", role: "img", "aria-label": `${title} over training` });
    this.node = el("figure", { class: "chart" },
      el("figcaption", {}, el("h3", {}, title), note ? el("span", { class: "quiet" }, note) : null),
      this.legend, this.canvas);
    this.plot = null;
    this.frame = 0;
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.canvas);
    charts.add(this);
  }

  remove() {
    this.watcher.disconnect();
    charts.delete(this);
    if (this.plot) this.plot.destroy();
    this.node.remove();
  }

  set(lines, view) {
    const axisChanged = view.axis !== this.view.axis;
    const same = this.plot && !axisChanged && view.log === this.view.log
      && view.weight === this.view.weight && view.calm === this.view.calm && lines.length === this.lines.length
      && lines.every((line, i) => line.label === this.lines[i].label);
    this.lines = lines;
    this.view = { ...view };
    if (!same) return this.rebuild();
    const zoomed = this.zoomed;
    this.plot.setData(this.data(), !zoomed);
    if (zoomed) this.plot.redraw();
    this.tell(null);
  }

  setTime(time) {
    this.view.time = time;
    if (this.plot && !this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        if (this.plot) this.plot.redraw(false, false);
        this.tell(null);
      });
    }
  }

  // uPlot wants one x for all lines: the union of theirs
  data() {
    const shown = this.lines;
    const weight = this.view.weight;
    const one = shown.length && shown.every((line) => line.x === shown[0].x);
    const columns = shown.flatMap((line) => [line.y, line.points ? line.y : smoothed(line.y, weight)]);
    if (one) return [shown[0].x, ...columns];
    if (!shown.length) return [[]];
    return uPlot.join(shown.map((line, i) => [line.x, columns[2 * i], columns[2 * i + 1]]));
  }

  rebuild() {
    if (this.plot) this.plot.destroy();
    this.plot = null;
    const width = this.canvas.clientWidth;
    if (!width || !this.node.isConnected) return;
    const quiet = colour("--quiet");
    const rule = colour("--rule");
    const { axis, weight, log } = this.view;
    const positive = log && this.lines.every((line) => line.y.every((y) => y === null || y > 0));
    const series = [{}];
    for (const line of this.lines) {
      const stroke = colour(line.colour);
      const show = !this.hidden.has(line.label);
      const many = line.x.length > 60;
      const points = { show: line.points || !many, size: line.points ? 7 : 4, fill: stroke, stroke };
      const faint = weight > 0 && !line.points;
      series.push({ label: `${line.label} (raw)`, stroke: `${stroke}50`, width: 1, show: show && faint, spanGaps: true, points: { show: false } });
      series.push({ label: line.label, stroke, width: 2, show, spanGaps: true, points, dash: line.dash });
    }
    const xText = axis === "seconds" ? duration : compact;
    const options = {
      width, height: this.height(), legend: { show: false },
      cursor: { sync: { key: "time", scales: ["x", null] }, drag: { x: true, y: false, setScale: true }, points: { size: 7 }, focus: { prox: 24 } },
      scales: {
        x: { time: false },
        y: { distr: positive ? 3 : 1, range: positive ? undefined : (_, low, high) => this.range(low, high) },
      },
      axes: [
        { stroke: quiet, grid: { stroke: rule, width: 1 }, ticks: { show: false }, size: 28, space: 70, font: FONT, values: (_, ticks) => ticks.map((tick) => xText(tick)) },
        { stroke: quiet, grid: { stroke: rule, width: 1 }, ticks: { show: false }, size: 52, font: FONT, values: (_, ticks) => ticks.map((tick) => (tick === null ? null : short(tick, 3))) },
      ],
      series,
      hooks: {
        draw: [(plot) => this.over(plot)],
        setCursor: [(plot) => this.tell(plot.cursor.idx)],
        ready: [(plot) => this.listen(plot)],
      },
    };
    this.isLog = positive;
    this.plot = new uPlot(options, this.data(), this.canvas);
    this.tell(null);
  }

  get zoomed() {
    const { min, max } = this.plot.scales.x;
    const x = this.plot.data[0];
    return x.length > 1 && (min > x[0] || max < x[x.length - 1]);
  }

  range(low, high) {
    if (low === null || high === null) return [0, 1];
    const floor = this.floor;
    if (this.view.calm) [low, high] = this.usual(low, high);
    if (floor !== null) [low, high] = [Math.min(low, floor), Math.max(high, floor)];
    const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    return [low - room, high + room];
  }

  // The range without the highest and the lowest hundredth of what is in sight, of long curves.
  usual(low, high) {
    const { min, max } = this.plot ? this.plot.scales.x : {};
    const values = [];
    for (const line of this.lines) {
      if (line.points || this.hidden.has(line.label)) continue;
      for (let i = 0; i < line.x.length; i++) {
        const inside = min === undefined || min === null || (line.x[i] >= min && line.x[i] <= max);
        if (inside && line.y[i] !== null) values.push(line.y[i]);
      }
    }
    if (values.length < 200) return [low, high];
    values.sort((a, b) => a - b);
    return [values[Math.floor(values.length * 0.01)], values[Math.ceil(values.length * 0.99) - 1]];
  }

  height() {
    return this.canvas.clientWidth < 420 ? 170 : 200;
  }

  resize() {
    const width = this.canvas.clientWidth;
    if (!width) return;
    if (!this.plot) this.rebuild();
    else if (width !== this.plot.width) this.plot.setSize({ width, height: this.height() });
  }

  listen(plot) {
    let pressed = null;
    plot.over.addEventListener("mousedown", (event) => { pressed = event.clientX; });
    plot.over.addEventListener("mouseup", (event) => {
      const still = pressed !== null && Math.abs(event.clientX - pressed) < 3;
      if (still && this.onpick) this.onpick(plot.posToVal(event.offsetX, "x"));
    });
    plot.over.addEventListener("mouseleave", () => this.tell(null));
  }

  // What is drawn over the lines: the floor, warnings, the time slider's place.
  over(plot) {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.lineWidth = ratio;
    if (this.floor !== null && (!this.isLog || this.floor > 0)) {
      const y = plot.valToPos(this.floor, "y", true);
      ctx.setLineDash([5 * ratio, 4 * ratio]);
      ctx.strokeStyle = colour("--good");
      line(ctx, bbox.left, y, bbox.left + bbox.width, y);
      ctx.setLineDash([]);
    }
    for (const mark of this.marks) {
      const place = mark[this.view.axis];
      if (place === null || place === undefined) continue;
      ctx.strokeStyle = colour("--warn");
      const x = plot.valToPos(place, "x", true);
      line(ctx, x, bbox.top, x, bbox.top + bbox.height);
    }
    const place = this.view.time && this.view.time[this.view.axis];
    if (place !== null && place !== undefined) {
      ctx.strokeStyle = colour("--ink");
      ctx.lineWidth = 1.5 * ratio;
      const x = plot.valToPos(place, "x", true);
      line(ctx, x, bbox.top, x, bbox.top + bbox.height);
    }
    ctx.restore();
  }

  // The legend says the values under the pointer, or else at the time slider's place.
  tell(index) {
    const x = this.plot ? this.plot.data[0] : [];
    const time = this.view.time && this.view.time[this.view.axis];
    const place = index !== null && index !== undefined ? x[index] : time ?? x[x.length - 1];
    fill(this.legend, this.lines.map((line) => {
      const at = place === undefined ? -1 : indexAt(line.x, place);
      const weight = line.points ? 0 : this.view.weight;
      const values = weight ? (line.cache?.[weight] ?? (line.cache = { [weight]: smoothed(line.y, weight) })[weight]) : line.y;
      let back = at;
      while (back >= 0 && values[back] === null) back--;
      const text = back >= 0 ? short(values[back]) : "–";
      const hidden = this.hidden.has(line.label);
      const button = el("button", {
        type: "button", class: `key${hidden ? " off" : ""}`, "aria-pressed": String(!hidden),
        title: hidden ? "Show this line" : "Hide this line",
        onclick: () => this.flip(line.label),
      }, el("span", { class: "swatch", "data-colour": line.colour }), line.label, " ", el("b", {}, text));
      button.firstChild.style.background = `var(${line.colour})`;
      return button;
    }), this.floor !== null ? el("span", { class: "key floor" }, "real images ", el("b", {}, short(this.floor))) : null);
  }

  flip(label) {
    if (!this.hidden.delete(label)) this.hidden.add(label);
    this.rebuild();
  }
}

const FONT = "11px system-ui, sans-serif";

function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
