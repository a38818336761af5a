// The time slider: one place in training for all that a page shows. Keys work wherever the focus is,
// except where one writes or chooses: space plays, arrows step, Home and End go to the ends.

import { choice, el } from "./dom.js";
import { compact, duration, short } from "./format.js";

const SPEEDS = [["2", "2 a second"], ["5", "5 a second"], ["12", "12 a second"], ["30", "30 a second"]];

export class Scrubber {
  // onmove(frame, index); frames are {step, images, epoch, seconds}, in their order
  constructor(onmove) {
    this.onmove = onmove;
    this.frames = [];
    this.index = -1;
    this.follows = true;
    this.timer = 0;
    this.slider = el("input", { type: "range", min: "0", max: "0", step: "1", "aria-label": "Time in training" });
    this.slider.addEventListener("input", () => {
      this.stop();
      this.go(Number(this.slider.value));
    });
    this.marks = el("div", { class: "marks", "aria-hidden": "true" });
    this.play = el("button", { type: "button", class: "round", "aria-label": "Play", onclick: () => this.toggle() }, "▶");
    this.text = el("output", { class: "place" });
    this.speed = "5";
    this.newest = el("button", { type: "button", class: "plain small", onclick: () => this.go(this.frames.length - 1) }, "Newest");
    const step = (by) => () => { this.stop(); this.go(this.index + by); };
    this.node = el("div", { class: "scrubber", role: "group", "aria-label": "Time in training" },
      this.play,
      el("button", { type: "button", class: "icon", "aria-label": "One back", onclick: step(-1) }, "‹"),
      el("div", { class: "track" }, this.slider, this.marks),
      el("button", { type: "button", class: "icon", "aria-label": "One on", onclick: step(1) }, "›"),
      this.text,
      el("label", { class: "speed" }, el("span", { class: "hidden" }, "Speed"), choice(SPEEDS, this.speed, (speed) => { this.speed = speed; if (this.timer) { this.stop(); this.start(); } })),
      this.newest);
  }

  // Keys, until `forget`.
  listen() {
    this.onkey = (event) => {
      const { target, key } = event;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, select, textarea, summary, [tabindex='0']")) return;
      if (key === " " && target.closest("button, a")) return;
      const moves = { ArrowLeft: this.index - 1, ArrowRight: this.index + 1, Home: 0, End: this.frames.length - 1 };
      if (key === " ") this.toggle();
      else if (key in moves) {
        this.stop();
        this.go(moves[key]);
      } else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", this.onkey);
  }

  forget() {
    this.stop();
    document.removeEventListener("keydown", this.onkey);
  }

  // New frames; who was at the end stays there.
  set(frames, marks = []) {
    const first = this.index < 0;
    this.frames = frames;
    this.slider.max = String(Math.max(0, frames.length - 1));
    this.slider.disabled = frames.length < 2;
    this.play.disabled = frames.length < 2;
    this.marks.replaceChildren(...marks.map((place) => {
      const mark = el("i");
      mark.style.left = `${100 * place}%`;
      return mark;
    }));
    if (first || this.follows) this.go(frames.length - 1);
    else this.go(Math.min(this.index, frames.length - 1));
  }

  go(index) {
    if (!this.frames.length) return;
    this.index = Math.max(0, Math.min(index, this.frames.length - 1));
    this.follows = this.index === this.frames.length - 1;
    this.slider.value = String(this.index);
    const frame = this.frames[this.index];
    const words = placeText(frame);
    this.text.textContent = words;
    this.slider.setAttribute("aria-valuetext", words);
    this.newest.disabled = this.follows;
    this.onmove(frame, this.index);
  }

  // To the frame nearest to a place on an axis.
  goNear(axis, place) {
    this.stop();
    let best = 0;
    for (const [i, frame] of this.frames.entries()) {
      if (Math.abs(frame[axis] - place) < Math.abs(this.frames[best][axis] - place)) best = i;
    }
    this.go(best);
  }

  toggle() {
    if (this.timer) this.stop();
    else this.start();
  }

  start() {
    if (this.follows) this.go(0);
    this.play.textContent = "❚❚";
    this.play.setAttribute("aria-label", "Pause");
    this.timer = setInterval(() => {
      if (this.index >= this.frames.length - 1) this.stop();
      else this.go(this.index + 1);
    }, 1000 / Number(this.speed));
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.play.textContent = "▶";
    this.play.setAttribute("aria-label", "Play");
  }
}

export function placeText(frame) {
  const words = [];
  if (frame.images !== null && frame.images !== undefined) words.push(`${compact(frame.images)} images`);
  if (frame.epoch !== null && frame.epoch !== undefined) words.push(`epoch ${short(frame.epoch, 3)}`);
  else if (frame.step !== null && frame.step !== undefined) words.push(`step ${frame.step}`);
  if (frame.seconds !== null && frame.seconds !== undefined) words.push(duration(frame.seconds));
  return words.join(" · ");
}
