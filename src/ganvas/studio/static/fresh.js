// Fresh latents beside the fixed ones: drawn with the generator nearest to the slider's place.

import { el, fill, toggle } from "./dom.js";
import { compact } from "./format.js";
import { raw } from "./source.js";

export function fresh(id) {
  const picture = el("img", { class: "sheet", alt: "Samples of fresh latents", hidden: true });
  const note = el("span", { class: "quiet" });
  const again = el("button", { type: "button", class: "plain small" }, "Draw");
  const weights = el("span");
  const node = el("figure", { class: "picture" },
    el("figcaption", {}, el("h3", {}, "Fresh latents"), note, again, weights), picture);
  let which = null;
  let seed = 0;
  let unaveraged = false;

  again.addEventListener("click", async () => {
    again.disabled = true;
    seed = Math.floor(Math.random() * 2 ** 32);
    await show();
    again.disabled = false;
    again.textContent = "Draw others";
  });

  async function show() {
    const place = `generators/${encodeURIComponent(id)}`;
    const query = `which=${encodeURIComponent(which.which)}&raw=${unaveraged ? 1 : 0}`;
    try {
      const facts = await (await raw(`${place}?${query}`)).json();
      fill(weights, facts.averaged ? toggle(unaveraged ? "raw weights" : "averaged weights", unaveraged, (now) => { unaveraged = now; show(); }) : null);
      const blob = await (await raw(`${place}/samples.png?num=16&seed=${seed}&${query}`)).blob();
      URL.revokeObjectURL(picture.src);
      picture.src = URL.createObjectURL(blob);
      picture.hidden = false;
      note.textContent = `${named(which)}, seed ${seed}`;
    } catch (error) {
      note.textContent = error.message;
    }
  }

  // The saved generator whose place is nearest to a frame.
  function at(detail, frame) {
    const steps = detail.summary.step;
    const per = detail.summary.images && steps ? detail.summary.images / steps : null;
    const placed = detail.generators.map((one) => ({ ...one, step: one.step ?? (per && one.images ? one.images / per : steps) }));
    const near = placed.sort((a, b) => Math.abs(a.step - frame.step) - Math.abs(b.step - frame.step))[0];
    if (!near || (which && near.which === which.which)) return;
    which = near;
    if (picture.hidden) note.textContent = named(near);
    else show();
  }

  return { node, at };
}

export function named(one) {
  if (one.which === "newest") return `newest generator${one.images ? `, ${compact(one.images)} images` : ""}`;
  if (one.which === "best") return `best generator${one.images ? `, ${compact(one.images)} images` : ""}`;
  return `checkpoint at step ${compact(one.step)}`;
}
