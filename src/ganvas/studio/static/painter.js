// Images from the server onto canvases; of many that are asked for, only the newest.

// bytes are height x width x channels
export function paint(canvas, { bytes, channels, height, width }) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = bytes[channels < 3 ? channels * i : channels * i + k];
    image.data[4 * i + 3] = channels === 4 ? bytes[4 * i + 3] : 255;
  }
  context.putImageData(image, 0, 0);
}

// While one drawing is under way, only the newest wish is kept: a slider never lags behind.
export class Painter {
  constructor(ask) {
    this.ask = ask;
    this.wish = null;
    this.busy = null;
    this.ondraw = () => {};
    this.drawn = 0;
  }

  want(z) {
    this.wish = z.map((one) => [...one]);
    this.busy ??= this.work().finally(() => { this.busy = null; });
    return this.busy;
  }

  async work() {
    while (this.wish) {
      const z = this.wish;
      this.wish = null;
      try {
        const response = await this.ask(z);
        const [, channels, height, width] = response.headers.get("X-Shape").split(",").map(Number);
        const bytes = new Uint8Array(await response.arrayBuffer());
        this.ondraw({ bytes, channels, height, width });
        this.drawn += 1;
      } catch {
        return; // the next wish tries again
      }
    }
  }
}
