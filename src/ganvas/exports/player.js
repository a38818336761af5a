// The page's controls around the generator: samples of a seed and a class, one image with its latent
// values, a walk, the way between two samples, pictures to save.

(() => {
  "use strict";

  const BUDGET = 25; // milliseconds of drawing between two looks at the user
  const SLIDERS = 12;
  const STRIP = 9; // images from A to B
  const SECONDS = 2.5; // from one stop of a walk to the next, and from A to B
  const $ = (id) => document.getElementById(id);
  const net = JSON.parse($("net").textContent);
  const [channels, height, width] = net.shape;

  // Random latents

  function randomNumbers(seed) { // mulberry32: from 0 up to 1
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  const normal = (random) => // Box and Muller
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

  const values = {
    normal: { draw: normal, low: -3, high: 3 },
    uniform: {
      draw: (random) => net.latent.low + (net.latent.high - net.latent.low) * random(),
      low: net.latent.low,
      high: net.latent.high,
    },
    "truncated-normal": {
      draw(random) {
        for (;;) {
          const value = normal(random);
          if (Math.abs(value) <= net.latent.limit) return value;
        }
      },
      low: -net.latent.limit,
      high: net.latent.limit,
    },
  }[net.latent.name];

  // A point is what one image is drawn from: its latent, and with classes behind it two class
  // indices and a share of the way between them.

  let chosen = ""; // the class of all samples; "": each of its own

  function point(random) {
    const found = new Float32Array(net.inputs);
    for (let i = 0; i < net.dims; i++) found[i] = values.draw(random);
    if (!net.classes.length) return found;
    const own = Math.floor(random() * net.classes.length); // drawn in any case: latents stay as they are
    return ofClass(found, chosen === "" ? own : Number(chosen));
  }

  function ofClass(z, index) {
    const found = Float32Array.from(z);
    found.set([index, index, 0], net.dims);
    return found;
  }

  const nearestClass = (z) => z[net.dims + (z[net.dims + 2] < 0.5 ? 0 : 1)];

  // The point a share of the way from a to b: normal latents lie along a sphere
  function between(a, b, share) {
    let fromA = 1 - share, fromB = share;
    if (net.latent.name === "normal") {
      let product = 0, lengthA = 0, lengthB = 0;
      for (let i = 0; i < net.dims; i++) {
        product += a[i] * b[i]; lengthA += a[i] * a[i]; lengthB += b[i] * b[i];
      }
      const cosine = Math.max(-1, Math.min(1, product / Math.sqrt(lengthA * lengthB)));
      const angle = Math.acos(cosine);
      if (Math.sin(angle) >= 1e-3) {
        fromA = Math.sin((1 - share) * angle) / Math.sin(angle);
        fromB = Math.sin(share * angle) / Math.sin(angle);
      }
    }
    const found = a.map((value, i) => fromA * value + fromB * b[i]);
    if (net.classes.length) found.set([nearestClass(a), nearestClass(b), share], net.dims);
    return found;
  }

  // Pictures

  function blank() {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    return canvas;
  }

  function show(canvas, pixels, start) {
    const image = new ImageData(width, height);
    for (let i = 0, from = start; i < image.data.length; i += 4, from += channels) {
      image.data[i] = pixels[from];
      image.data[i + 1] = pixels[from + (channels > 2 ? 1 : 0)];
      image.data[i + 2] = pixels[from + (channels > 2 ? 2 : 0)];
      image.data[i + 3] = channels === 4 ? pixels[from + 3] : 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  function save(canvases, columns, name) {
    const scale = Math.max(1, Math.round(640 / (columns * width)));
    const gap = canvases.length > 1 ? 2 * scale : 0;
    const sheet = document.createElement("canvas"), rows = Math.ceil(canvases.length / columns);
    sheet.width = columns * (width * scale + gap) + gap;
    sheet.height = rows * (height * scale + gap) + gap;
    const context = sheet.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.fillStyle = "#808080";
    if (gap) context.fillRect(0, 0, sheet.width, sheet.height);
    canvases.forEach((canvas, i) => {
      const left = gap + (i % columns) * (width * scale + gap);
      const top = gap + Math.floor(i / columns) * (height * scale + gap);
      context.drawImage(canvas, left, top, width * scale, height * scale);
    });
    sheet.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${net.name}-${name}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  // Drawing: several images at once where one is quick

  let generator = null, cost = 0; // milliseconds an image

  function drawn(latents) {
    const joined = new Float32Array(latents.length * net.inputs);
    latents.forEach((z, i) => joined.set(z, i * net.inputs));
    const began = performance.now(), pixels = generator.draw(joined);
    const took = (performance.now() - began) / latents.length;
    cost = cost ? 0.8 * cost + 0.2 * took : took;
    $("speed").textContent = `${cost < 10 ? cost.toFixed(1) : Math.round(cost)} ms`;
    return pixels;
  }

  const queues = {}; // by place, so that what is out of date is dropped

  function paint(place, canvases, latents) {
    const queue = (queues[place] = { canvases: [...canvases], latents: [...latents] });
    const next = () => {
      if (queues[place] !== queue || !queue.latents.length) return;
      const some = Math.max(1, Math.min(16, Math.floor(BUDGET / (cost || BUDGET))));
      const pixels = drawn(queue.latents.splice(0, some));
      queue.canvases.splice(0, some).forEach((c, i) => show(c, pixels, i * generator.size));
      requestAnimationFrame(next);
    };
    next();
  }

  // State

  const picks = { a: 0, b: 1 };
  let samples = [], oldest = "a"; // the end that the next click moves
  let base = null, current = null; // the sample's latent, and what the sliders made of it
  let motion = null; // what moves the one image, if anything does

  const tiles = () => [...$("grid").querySelectorAll("canvas")];
  const strip = Array.from({ length: STRIP }, blank);

  function sow() {
    const count = Number($("count").value), random = randomNumbers(Number($("seed").value));
    samples = Array.from({ length: count }, () => point(random));
    for (const end of "ab") if (picks[end] >= count) picks[end] = end === "a" ? 0 : 1;
    $("grid").style.setProperty("--columns", Math.sqrt(count));
    $("grid").replaceChildren(...samples.map((_, i) => {
      const tile = document.createElement("button");
      tile.type = "button";
      tile.className = "tile";
      tile.setAttribute("aria-label", `Sample ${i + 1}`);
      tile.append(blank());
      tile.addEventListener("click", () => pick(i));
      return tile;
    }));
    $("grid").setAttribute("aria-busy", "false");
    paint("grid", tiles(), samples);
    mark();
    setBase(samples[picks.a]);
  }

  function pick(i) {
    if (i === picks.a || i === picks.b) oldest = i === picks.a ? "b" : "a";
    else {
      picks[oldest] = i;
      oldest = oldest === "a" ? "b" : "a";
      mark();
    }
    move(null);
    setBase(samples[i]);
  }

  function mark() {
    [...$("grid").children].forEach((tile, i) => {
      tile.classList.toggle("a", i === picks.a);
      tile.classList.toggle("b", i === picks.b);
    });
    $("share").value = 0;
    paint("strip", strip, strip.map((_, i) => way(i / (STRIP - 1))));
  }

  const way = (share) => between(samples[picks.a], samples[picks.b], share);

  function setBase(z) {
    base = z;
    setCurrent(z);
  }

  function setCurrent(z) {
    current = Float32Array.from(z);
    if (net.classes.length) $("class").value = nearestClass(current);
    for (const [i, slider] of [...$("sliders").querySelectorAll("input")].entries()) {
      slider.value = current[i];
      slider.nextElementSibling.value = current[i].toFixed(2);
    }
    paint("one", [$("one")], [current]);
  }

  // A motion gives the latent of a moment; null stops
  function move(button, at) {
    motion = button && motion?.button !== button ? { button, at, began: performance.now() } : null;
    for (const id of ["walk", "play"]) {
      const on = motion?.button === id;
      $(id).setAttribute("aria-pressed", on);
      $(id).textContent = on ? "Pause" : id === "walk" ? "Walk" : "Play";
    }
    const running = motion;
    const frame = (now) => {
      if (motion !== running || !running) return;
      setCurrent(running.at((now - running.began) / 1000));
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  function walk() {
    const random = randomNumbers(Math.random() * 4294967296);
    let from = current, to = point(random), stop = 0;
    move("walk", (seconds) => {
      while (seconds / SECONDS >= stop + 1) {
        from = to; to = point(random); stop++;
      }
      return between(from, to, Math.max(0, seconds / SECONDS - stop));
    });
  }

  function play() {
    const start = Number($("share").value);
    move("play", (seconds) => {
      const phase = (start + Math.max(0, seconds) / SECONDS) % 2; // there and back
      $("share").value = phase < 1 ? phase : 2 - phase;
      return way(Number($("share").value));
    });
  }

  // Controls

  function build() {
    const shown = Math.min(SLIDERS, net.dims);
    $("shown").textContent = shown;
    for (let i = 0; i < shown; i++) {
      const label = document.createElement("label"), slider = document.createElement("input");
      const name = document.createElement("span");
      Object.assign(slider, { type: "range", min: values.low, max: values.high, step: 0.01 });
      slider.addEventListener("input", () => {
        move(null);
        setCurrent(current.map((value, j) => (j === i ? Number(slider.value) : value)));
      });
      name.textContent = `z${i + 1}`;
      label.append(name, slider, document.createElement("output"));
      $("sliders").append(label);
    }
    if (net.classes.length) {
      for (const [i, name] of net.classes.entries())
        for (const id of ["classes", "class"]) $(id).append(new Option(name, i));
      $("classes").addEventListener("change", () => {
        chosen = $("classes").value;
        sow();
      });
      $("class").addEventListener("change", () => {
        move(null);
        setCurrent(ofClass(current, Number($("class").value)));
      });
    }
    $("one").width = width;
    $("one").height = height;
    $("strip").append(...strip);
    $("seed").addEventListener("change", sow);
    $("count").addEventListener("change", sow);
    $("fresh").addEventListener("click", () => {
      $("seed").value = Math.floor(Math.random() * 1e6);
      sow();
    });
    $("walk").addEventListener("click", walk);
    $("play").addEventListener("click", play);
    $("share").addEventListener("input", () => {
      move(null);
      setCurrent(way(Number($("share").value)));
    });
    $("reset").addEventListener("click", () => {
      move(null);
      setCurrent(base);
    });
    const seed = () => $("seed").value;
    $("save-grid").addEventListener("click", () => save(tiles(), Math.sqrt(samples.length), `seed-${seed()}`));
    $("save-one").addEventListener("click", () => save([$("one")], 1, "image"));
    $("save-strip").addEventListener("click", () => save(strip, STRIP, `from-a-to-b-seed-${seed()}`));
  }

  function unpacked() {
    const text = atob($("weights").textContent.trim()), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes.buffer;
  }

  build();
  // after the page has been seen: unpacking takes a moment
  requestAnimationFrame(() => setTimeout(() => {
    generator = Runtime.load(net, unpacked());
    $("weights").remove();
    sow();
    const idle = () => Object.values(queues).every((queue) => !queue.latents.length);
    // for other scripts: latents, one after another, and with classes one index an image, to pixels
    const draw = (latents, labels = []) => {
      const n = latents.length / net.dims, joined = new Float32Array(n * net.inputs);
      for (let i = 0; i < n; i++) {
        joined.set(latents.slice(i * net.dims, (i + 1) * net.dims), i * net.inputs);
        if (net.classes.length) joined.set([labels[i] || 0, labels[i] || 0, 0], i * net.inputs + net.dims);
      }
      return generator.draw(joined);
    };
    window.ganvas = { net, draw, idle };
  }));
})();
