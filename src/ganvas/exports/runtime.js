// Runs a generator that is a list of layers: exports/plain.py says what each kind gives.
//
// Images on their way are {data, n, h, w, c}: n of them, row by row, a pixel's channels side by
// side. So each layer with weights is one product of rows, which is where all the time goes.

const Runtime = (() => {
  "use strict";

  // row i of x times row j of the weights, times scale[j]: n rows of m values
  function product(x, n, { weight: w, scale }) {
    const m = scale.length, k = w.length / m;
    const y = new Float32Array(n * m);
    let i = 0;
    for (; i + 3 < n; i += 4) fourRows(x, i, w, m, k, y);
    for (; i < n; i++) oneRow(x, i, w, m, k, y);
    for (let at = 0; at < y.length; at += m)
      for (let j = 0; j < m; j++) y[at + j] *= scale[j];
    return y;
  }

  function fourRows(x, i, w, m, k, y) {
    const x0 = i * k, x1 = x0 + k, x2 = x1 + k, x3 = x2 + k;
    const y0 = i * m, y1 = y0 + m, y2 = y1 + m, y3 = y2 + m;
    let j = 0;
    for (; j + 1 < m; j += 2) {
      const w0 = j * k, w1 = w0 + k;
      let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
      for (let t = 0; t < k; t++) {
        const p = w[w0 + t], q = w[w1 + t];
        let v = x[x0 + t];
        a += v * p; b += v * q;
        v = x[x1 + t];
        c += v * p; d += v * q;
        v = x[x2 + t];
        e += v * p; f += v * q;
        v = x[x3 + t];
        g += v * p; h += v * q;
      }
      y[y0 + j] = a; y[y0 + j + 1] = b;
      y[y1 + j] = c; y[y1 + j + 1] = d;
      y[y2 + j] = e; y[y2 + j + 1] = f;
      y[y3 + j] = g; y[y3 + j + 1] = h;
    }
    for (; j < m; j++)
      for (let row = 0; row < 4; row++) y[y0 + row * m + j] = dot(x, x0 + row * k, w, j * k, k);
  }

  function oneRow(x, i, w, m, k, y) {
    const x0 = i * k, y0 = i * m;
    let j = 0;
    for (; j + 3 < m; j += 4) {
      const w0 = j * k, w1 = w0 + k, w2 = w1 + k, w3 = w2 + k;
      let a = 0, b = 0, c = 0, d = 0;
      for (let t = 0; t < k; t++) {
        const v = x[x0 + t];
        a += v * w[w0 + t]; b += v * w[w1 + t];
        c += v * w[w2 + t]; d += v * w[w3 + t];
      }
      y[y0 + j] = a; y[y0 + j + 1] = b; y[y0 + j + 2] = c; y[y0 + j + 3] = d;
    }
    for (; j < m; j++) y[y0 + j] = dot(x, x0, w, j * k, k);
  }

  function dot(x, x0, w, w0, k) {
    let sum = 0;
    for (let t = 0; t < k; t++) sum += x[x0 + t] * w[w0 + t];
    return sum;
  }

  function add(data, bias) {
    for (let at = 0; at < data.length; at += bias.length)
      for (let c = 0; c < bias.length; c++) data[at + c] += bias[c];
    return data;
  }

  function inPlace(x, f) {
    const { data } = x;
    for (let i = 0; i < data.length; i++) data[i] = f(data[i]);
    return x;
  }

  const layers = {
    dense(x, layer) {
      const data = add(product(x.data, x.n, layer), layer.bias);
      return { data, n: x.n, h: 1, w: 1, c: layer.bias.length };
    },

    // the patches under the kernel as rows; weights are (outputs, kernel, kernel, channels)
    convolution(x, layer) {
      const { kernel, stride, before: [top, left], size: [h, w], bias } = layer;
      const row = kernel * x.c, patches = new Float32Array(x.n * h * w * kernel * row);
      let at = 0;
      for (let i = 0; i < x.n; i++)
        for (let r = 0; r < h; r++)
          for (let s = 0; s < w; s++)
            for (let p = 0; p < kernel; p++, at += row) {
              const above = r * stride + p - top, first = s * stride - left;
              if (above < 0 || above >= x.h) continue;
              const from = Math.max(0, first), to = Math.min(x.w, first + kernel);
              const start = (i * x.h + above) * x.w;
              patches.set(x.data.subarray((start + from) * x.c, (start + to) * x.c), at + (from - first) * x.c);
            }
      const data = add(product(patches, x.n * h * w, layer), bias);
      return { data, n: x.n, h, w, c: bias.length };
    },

    // each pixel's patch, added up where they overlap; weights are (kernel, kernel, outputs, channels)
    transposed(x, layer) {
      const { kernel, stride, before: [top, left], size: [h, w], bias } = layer;
      const outputs = bias.length;
      const patches = product(x.data, x.n * x.h * x.w, layer);
      const data = add(new Float32Array(x.n * h * w * outputs), bias);
      let from = 0;
      for (let i = 0; i < x.n; i++)
        for (let r = 0; r < x.h; r++)
          for (let s = 0; s < x.w; s++)
            for (let p = 0; p < kernel; p++)
              for (let q = 0; q < kernel; q++, from += outputs) {
                const y = r * stride + p - top, z = s * stride + q - left;
                if (y < 0 || y >= h || z < 0 || z >= w) continue;
                const to = ((i * h + y) * w + z) * outputs;
                for (let c = 0; c < outputs; c++) data[to + c] += patches[from + c];
              }
      return { data, n: x.n, h, w, c: outputs };
    },

    affine(x, { scale, shift }) {
      for (let at = 0; at < x.data.length; at += x.c)
        for (let c = 0; c < x.c; c++) x.data[at + c] = x.data[at + c] * scale[c] + shift[c];
      return x;
    },

    leaky: (x, { slope }) => inPlace(x, (v) => (v < 0 ? v * slope : v)),
    tanh: (x) => inPlace(x, Math.tanh),
    sigmoid: (x) => inPlace(x, (v) => 1 / (1 + Math.exp(-v))),

    // from channels one after another, as PyTorch has them
    reshape(x, { shape: [c, h, w] }) {
      const data = new Float32Array(x.data.length), pixels = h * w;
      for (let start = 0; start < data.length; start += c * pixels)
        for (let channel = 0; channel < c; channel++)
          for (let at = 0; at < pixels; at++)
            data[start + at * c + channel] = x.data[start + channel * pixels + at];
      return { data, n: x.n, h, w, c };
    },

    smooth(x) {
      const line = (data, size, step) => {
        const out = new Float32Array(data.length);
        for (let i = 0; i < data.length; i++) {
          const place = Math.floor(i / step) % size;
          out[i] = data[i] / 2 + ((place ? data[i - step] : 0) + (place < size - 1 ? data[i + step] : 0)) / 4;
        }
        return out;
      };
      return { ...x, data: line(line(x.data, x.h, x.w * x.c), x.w, x.c) };
    },

    double(x) {
      const h = 2 * x.h, w = 2 * x.w, data = new Float32Array(4 * x.data.length);
      let to = 0;
      for (let i = 0; i < x.n; i++)
        for (let r = 0; r < h; r++)
          for (let s = 0; s < w; s++)
            for (let c = 0; c < x.c; c++, to++) {
              const above = r >> 1, below = Math.min(x.h - 1, (r + 1) >> 1);
              const left = s >> 1, right = Math.min(x.w - 1, (s + 1) >> 1);
              const at = (y, z) => x.data[((i * x.h + y) * x.w + z) * x.c + c];
              data[to] = (at(above, left) + at(above, right) + at(below, left) + at(below, right)) / 4;
            }
      return { data, n: x.n, h, w, c: x.c };
    },

    // behind each latent the point between the rows of two classes
    classes(x, { table, width }) {
      const dims = x.c - 3;
      const data = new Float32Array(x.n * (dims + width));
      for (let i = 0; i < x.n; i++) {
        const z = x.data.subarray(i * x.c, (i + 1) * x.c), to = i * (dims + width);
        const [a, b, share] = z.subarray(dims);
        data.set(z.subarray(0, dims), to);
        for (let j = 0; j < width; j++)
          data[to + dims + j] = table[a * width + j] * (1 - share) + table[b * width + j] * share;
      }
      return { data, n: x.n, h: 1, w: 1, c: dims + width };
    },

    crop(x, { size: [h, w] }) {
      const data = new Float32Array(x.n * h * w * x.c);
      for (let i = 0; i < x.n; i++)
        for (let r = 0; r < h; r++) {
          const from = ((i * x.h + r) * x.w) * x.c;
          data.set(x.data.subarray(from, from + w * x.c), (i * h + r) * w * x.c);
        }
      return { data, n: x.n, h, w, c: x.c };
    },
  };

  // A layer's arrays lie in the bytes: 16-bit weights, the rest in 32-bit floats.
  function withArrays(layer, bytes) {
    const found = { ...layer };
    for (const [name, [offset, length]] of Object.entries(layer.arrays || {}))
      found[name] = new (name === "weight" ? Int16Array : Float32Array)(bytes, offset, length);
    return found;
  }

  // net: {layers, inputs, shape: [C, H, W], range: [low, high]}; bytes: an ArrayBuffer. Inputs are
  // an image's latent and, of a net with classes, two class indices and the share between them
  function load(net, bytes) {
    const plain = net.layers.map((layer) => withArrays(layer, bytes));
    const [channels, height, width] = net.shape, [low, high] = net.range;
    const size = channels * height * width;

    // the inputs of n images, one after another -> n images of whole numbers from 0 to 255, row by row, a
    // pixel's channels side by side
    function draw(latents) {
      const n = latents.length / net.inputs;
      let x = { data: Float32Array.from(latents), n, h: 1, w: 1, c: net.inputs };
      for (const layer of plain) x = layers[layer.kind](x, layer);
      const pixels = new Uint8ClampedArray(n * size); // rounds, and cuts off below 0 and above 255
      for (let i = 0; i < pixels.length; i++) pixels[i] = ((x.data[i] - low) * 255) / (high - low);
      return pixels;
    }

    return { draw, size };
  }

  return { load };
})();
