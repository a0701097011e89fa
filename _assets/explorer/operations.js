// What each word of an exported network does: the shape that it puts out, its multiply-adds, and what its output sees.
// A rule takes the inputs ({shape, axes}), the settings with all lengths filled in, and its output's shape.
"use strict";

(() => {
  const { fraction, plus, outSize } = explorer.shapes;
  const { LOST, isPacked, isLost, place, resampled, slid, mixed, merged, joined, reshaped, sliced, product } =
    explorer.places;

  // What PyTorch says, and what the layer would need.
  class Unfit extends Error {
    constructor(said, need = "") {
      super(said);
      this.need = need;
    }
  }

  const shown = (shape) => `[${shape.join(", ")}]`;
  const last = (shape, n) => shape.slice(shape.length - n);
  const without = (list, gone) => list.filter((_, i) => !gone.includes(i));

  // Windows

  function windowsFit(x, settings, what) {
    const sides = last(x.shape, 2);
    const { kernel, stride, pad, dilation, ceil } = settings;
    const spans = kernel.map((k, i) => dilation[i] * (k - 1) + 1);
    const out = sides.map((n, i) => outSize(n, kernel[i], stride[i], pad[i], dilation[i], ceil));
    const least = spans.map((n, i) => Math.max(1, n - 2 * pad[i]));
    const need = sides.some((n, i) => n < least[i])
      ? `; it needs a map of at least ${least.join("×")}`
      : "";
    what(sides, spans, out, need);
    return out;
  }

  function convShape([x], settings) {
    const out = windowsFit(x, settings, (sides, spans, found, need) => {
      const padded = sides.map((n, i) => n + 2 * settings.pad[i]);
      if (padded.every((n, i) => n >= spans[i])) return;
      throw new Unfit(
        `Calculated padded input size per channel: (${padded.join(" x ")}). Kernel size: ` +
          `(${spans.join(" x ")}). Kernel size can't be greater than actual input size`,
        need,
      );
    });
    return [x.shape[0], settings.out, ...out];
  }

  function poolShape([x], settings) {
    const front = x.shape.slice(0, -2);
    const out = windowsFit(x, settings, (sides, spans, found, need) => {
      if (found.every((n) => n >= 1)) return;
      const channels = front.at(-1);
      throw new Unfit(
        `Given input size: (${[channels, ...sides].join("x")}). Calculated output size: ` +
          `(${[channels, ...found].join("x")}). Output size is too small`,
        need,
      );
    });
    return [...front, ...out];
  }

  function windows(axes, { kernel, stride, pad, dilation }) {
    const found = [...axes];
    kernel.forEach((k, i) => {
      const at = axes.length - kernel.length + i;
      if (found[at]) found[at] = slid(found[at], k, stride[i], pad[i], dilation[i]);
    });
    return found;
  }

  function convAxes([x], settings) {
    const at = x.axes.length - 3;
    const axes = x.axes[at] ? mixed(x.axes, x.shape, [at]) : x.axes;
    return windows(axes, settings);
  }

  function poolAxes([x], settings) {
    const whole = String(last(x.shape, 2)) === String(settings.kernel);
    if (!settings.max && whole) return mixed(x.axes, x.shape, [x.axes.length - 2, x.axes.length - 1]);
    return windows(x.axes, settings);
  }

  function adaptiveAxes([x], { sizes }, out) {
    let axes = [...x.axes];
    for (let i = axes.length - sizes.length; i < axes.length; i++) {
      const [n, m] = [x.shape[i], out[i]];
      if (m === 1 && n > 1) axes = mixed(axes, x.shape, [i]);
      else if (axes[i]) {
        const step = fraction(n, m);
        const part = fraction(1, step[1]);
        axes[i] = resampled(axes[i], plus(part, [-1, 1]), plus(step, [-part[0], part[1]]), step);
      }
    }
    return axes;
  }

  // Products

  function linearShape([x], settings) {
    if (x.shape.at(-1) !== settings.in) {
      const rows = product(x.shape.slice(0, -1));
      throw new Unfit(
        `a and b must have same reduction dim, but got ${shown([rows, x.shape.at(-1)])} X ` +
          `${shown([settings.in, settings.out])}.`,
        `; it needs ${settings.in} features in the last axis`,
      );
    }
    return [...x.shape.slice(0, -1), settings.out];
  }

  // Joins

  function broadcast(inputs) {
    const ndim = Math.max(...inputs.map((t) => t.shape.length));
    const out = Array(ndim).fill(1);
    inputs.forEach(({ shape }, which) => {
      for (let i = -1; i >= -shape.length; i--) {
        const n = shape.at(i);
        if (out[ndim + i] === 1) out[ndim + i] = n;
        else if (n !== 1 && n !== out[ndim + i]) {
          throw new Unfit(
            `Attempting to broadcast a dimension of length ${n} at ${i}! Mismatching argument at index ${which} ` +
              `had torch.Size(${shown(shape)}); but expected shape should be broadcastable to ${shown(out)}`,
          );
        }
      }
    });
    return out;
  }

  function catShape(parts, { dim }) {
    const out = [...parts[0].shape];
    parts.slice(1).forEach(({ shape }, which) => {
      shape.forEach((n, i) => {
        if (i === dim || n === out[i]) return;
        throw new Unfit(
          `Sizes of tensors must match except in dimension ${dim}. Expected ${out[i]} in dimension ${i} ` +
            `but got ${n} for tensor number ${which + 1} in the list`,
        );
      });
      out[dim] += shape[dim];
    });
    return out;
  }

  // Along an axis of the image, the longest piece says where the whole lies, as short ones are its border.
  function catAxes(parts, { dim }, out) {
    const states = [];
    const entries = [];
    let start = 0;
    for (const { shape, axes: held } of parts) {
      let axes = held;
      if (axes.length) {
        if (isPacked(axes[dim])) {
          const rest = mixed(axes, shape, [dim]);
          if (rest.some(Boolean)) axes = rest;
        }
        entries.push([shape[dim], axes[dim] ? slid(place(axes[dim]), 1, 1, start) : null]);
        states.push([axes.with(dim, null), shape.with(dim, 1)]);
      }
      start += shape[dim];
    }
    const axes = merged(states, out.length);
    if (entries.some(([, entry]) => entry)) {
      entries.sort((a, b) => b[0] - a[0]);
      const [length, entry] = entries[0];
      const other = ([n, e]) => JSON.stringify(e) !== JSON.stringify(entry) && 2 * n > length;
      axes[dim] = !entry || entries.some(other) ? LOST : entry;
    }
    return axes;
  }

  // Other shapes for the same units

  function viewShape([x], { asked }) {
    const whole = product(x.shape);
    const filled = asked.map((n) => n.product ? product(x.shape.slice(...n.product)) : n);
    const known = product(filled.filter((n) => n !== -1));
    const out = filled.map((n) => (n === -1 ? whole / known : n));
    if (!out.every(Number.isInteger) || product(out) !== whole) {
      throw new Unfit(`shape '${shown(filled)}' is invalid for input of size ${whole}`);
    }
    return out;
  }

  const padShape = ([x], { pads }) =>
    x.shape.map((n, i) => {
      const at = 2 * (x.shape.length - 1 - i);
      return n + (pads[at] ?? 0) + (pads[at + 1] ?? 0);
    });

  function padAxes([x], { pads }, out) {
    const axes = [...x.axes];
    for (let k = 0; 2 * k < pads.length; k++) {
      const i = axes.length - 1 - k;
      if (axes[i] && out[i] !== x.shape[i]) axes[i] = slid(place(axes[i]), 1, 1, pads[2 * k]);
    }
    return axes;
  }

  // Python's bounds of a slice: negative ones count from the end, all are kept within the axis.
  function bounds([x], { dim, start, end, step }) {
    const n = x.shape[dim];
    const within = (at) => Math.min(n, Math.max(0, at < 0 ? at + n : at));
    const [from, to] = [within(start), within(end ?? n)];
    return [from, Math.max(0, Math.ceil((to - from) / step))];
  }

  function sliceAxes(inputs, settings, out) {
    const [{ axes, shape }] = inputs;
    const { dim, step } = settings;
    if (out[dim] === shape[dim] && settings.name !== "split") return axes;
    return sliced(axes, dim, bounds(inputs, settings)[0], out[dim], step);
  }

  const lostAxes = ([{ axes }]) => {
    const entries = axes.filter(Boolean);
    if (!entries.length) return axes.map(() => null);
    const before = entries.find(isLost) ?? LOST;
    return axes.map((_, i) => (i ? before : null));
  };

  function sameShape([x], { channels, last: size }) {
    if (channels !== undefined && x.shape[1] !== channels) {
      throw new Unfit(
        `running_mean should contain ${x.shape[1]} elements not ${channels}`,
        `; it needs ${channels} channels`,
      );
    }
    if (size && String(last(x.shape, size.length)) !== String(size)) {
      throw new Unfit(
        `Given normalized_shape=${shown(size)}, expected input with shape [*, ${size.join(", ")}], ` +
          `but got input of size${shown(x.shape)}`,
      );
    }
    return x.shape;
  }

  const none = () => 0;
  const all = (inputs, settings, out) => joined(inputs, out.length);
  const first = ([x]) => x.axes;

  const rules = {
    conv: {
      shape: convShape,
      axes: convAxes,
      macs: (inputs, { per, kernel }, out) => product(out) * per * product(kernel),
    },
    linear: {
      shape: linearShape,
      axes: ([x]) => mixed(x.axes, x.shape, [x.shape.length - 1]),
      macs: (inputs, settings, out) => product(out) * settings.in,
    },
    pool: { shape: poolShape, axes: poolAxes, macs: none },
    adaptive: {
      shape: ([x], { sizes }) => [...x.shape.slice(0, x.shape.length - sizes.length), ...sizes],
      axes: adaptiveAxes,
      macs: none,
    },
    reduce: {
      shape: ([x], { dims, keep }) =>
        keep ? x.shape.map((n, i) => (dims.includes(i) ? 1 : n)) : without(x.shape, dims),
      axes: ([x], { dims, keep }) => {
        const axes = mixed(x.axes, x.shape, dims);
        return keep ? axes : without(axes, dims);
      },
      macs: none,
    },
    same: { shape: sameShape, axes: first, macs: none },
    norm: { shape: sameShape, axes: first, macs: none },
    lost: { shape: ([x]) => x.shape, axes: lostAxes, macs: none },
    along: {
      shape: ([x]) => x.shape,
      axes: ([x], { dim }) => x.axes.map((entry, i) => (i === dim && entry ? LOST : entry)),
      macs: none,
    },
    join: { shape: broadcast, axes: all, macs: none },
    cat: { shape: catShape, axes: catAxes, macs: none },
    view: {
      shape: viewShape,
      axes: ([x], settings, out) =>
        String(x.shape) === String(out) ? x.axes : reshaped(x.axes, x.shape, out),
      macs: none,
    },
    permute: {
      shape: ([x], { dims }) => dims.map((d) => x.shape[d]),
      axes: ([x], { dims }) => dims.map((d) => x.axes[d]),
      macs: none,
    },
    unsqueeze: {
      shape: ([x], { dim }) => x.shape.toSpliced(dim, 0, 1),
      axes: ([x], { dim }) => x.axes.toSpliced(dim, 0, null),
      macs: none,
    },
    squeeze: {
      shape: ([x], { dims }) => without(x.shape, dims),
      axes: ([x], { dims }) => without(x.axes, dims),
      macs: none,
    },
    slice: {
      shape: (inputs, settings) => inputs[0].shape.with(settings.dim, bounds(inputs, settings)[1]),
      axes: sliceAxes,
      macs: none,
    },
    pick: {
      shape: ([x], { dim, length }) => x.shape.with(dim, length),
      axes: ([x], { dim }) => x.axes.map((entry, i) => (i === dim && entry ? LOST : entry)),
      macs: none,
    },
    pad: { shape: padShape, axes: padAxes, macs: none },
  };

  explorer.operations = { rules, Unfit };
})();
