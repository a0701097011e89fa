// Where the axes of a tensor lie in the image, as cnnlib.costs.places has it. An entry an axis: {dim, span}, a place;
// {parts: [[length, entry], ...]}, several axes in one; {lost: operation}; UNIFORM, where all units are the same; null,
// no place in the image. A tensor that does not depend on the image has no entries.
"use strict";

(() => {
  const { fraction, plain, isPlain, sameStride, through, union, resample, sizeOf } = explorer.shapes;
  const UNIFORM = 0;
  const LOST = { lost: "" };
  const LONGEST = 1024;
  const isPlace = (e) => Boolean(e && e.span);
  const isPacked = (e) => Boolean(e && e.parts);
  const isLost = (e) => Boolean(e && e.lost !== undefined);
  const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);
  const product = (numbers) => numbers.reduce((a, b) => a * b, 1);

  // An axis as windows slide along it: a packed one that repeats each unit is an enlarged map.
  function place(entry) {
    if (!isPacked(entry)) return entry;
    const [[, outer], ...inner] = entry.parts;
    if (!isPlace(outer) || inner.some(([, p]) => p !== null)) return LOST;
    const times = product(inner.map(([n]) => n));
    return resampled(outer, fraction(1 - times, times), [0, 1], fraction(1, times));
  }

  function resampled(entry, first, last, step) {
    entry = place(entry);
    if (!isPlace(entry)) return entry;
    if (step[1] * (isPlain(entry.span) ? 1 : entry.span.first.length) > LONGEST) return LOST;
    return { dim: entry.dim, span: resample(entry.span, first, last, step) };
  }

  function slid(entry, kernel, stride = 1, pad = 0, dilation = 1) {
    if (kernel === 1 && stride === 1 && !pad) return entry;
    entry = place(entry);
    return isPlace(entry)
      ? { dim: entry.dim, span: through(entry.span, kernel, stride, pad, dilation) }
      : entry;
  }

  const partsOf = (entry, n) => (isPacked(entry) ? entry.parts : [[n, entry || null]]);
  const dimsOf = (parts) => parts.filter(([, p]) => isPlace(p)).map(([, p]) => p.dim);

  // The axes with a field along `dim` that is `more` pixels larger and begins `shift` further on.
  function moved(axes, dim, more, shift) {
    let found = false;
    const change = (p) => {
      if (!isPlace(p) || p.dim !== dim) return p;
      const { span } = p;
      const next = isPlain(span)
        ? { dim, span: plain(span.size + more, span.stride, span.start + (found ? 0 : shift)) }
        : LOST;
      found = true;
      return next;
    };
    const out = axes.map((entry) => {
      if (!isPacked(entry)) return change(entry);
      const parts = entry.parts.map(([n, p]) => [n, change(p)]);
      return parts.some(([, p]) => isLost(p)) ? LOST : { parts };
    });
    return found ? out : null;
  }

  // The axes behind a sum over those in `gone`.
  function mixed(axes, lengths, gone) {
    let left = axes.map((entry, i) => (gone.includes(i) ? null : entry));
    for (const i of gone) {
      for (const [n, p] of partsOf(axes[i], lengths ? lengths[i] : 0)) {
        if (isLost(p)) left = left.map((entry) => (entry ? p : entry));
        else if (p && !isPlain(p.span)) {
          left = left.map((e) => (dimsOf(partsOf(e, 0)).includes(p.dim) ? LOST : e));
        } else if (p) left = moved(left, p.dim, (n - 1) * p.span.stride, p.span.start) ?? left;
      }
    }
    return left;
  }

  // What sees both, unit by unit.
  function unite(a, b) {
    if (same(a, b)) return a;
    if (isPlace(a) && isPlace(b) && isPlain(a.span) && isPlain(b.span)) {
      return a.dim === b.dim && a.span.stride === b.span.stride
        ? { dim: a.dim, span: union(a.span, b.span) }
        : LOST;
    }
    for (const entry of [a, b]) if (isLost(entry)) return entry;
    [a, b] = [place(a), place(b)];
    if (!isPlace(a) || !isPlace(b) || a.dim !== b.dim || !sameStride(a.span, b.span)) return LOST;
    return { dim: a.dim, span: union(a.span, b.span) };
  }

  // The union of several inputs, aligned at their last axes as broadcasting does.
  function merged(states, ndim) {
    let out = [];
    for (let i = -ndim; i < 0; i++) {
      const here = states
        .filter(([axes]) => axes.length >= -i)
        .map(([axes, lengths]) => [axes.at(i), lengths.at(i)]);
      if (here.every((pair) => same(pair, here[0]))) {
        out.push(here.length ? here[0][0] : null);
        continue;
      }
      const longest = Math.max(1, ...here.map(([, n]) => n));
      let found = null;
      for (let [entry, n] of here) {
        if (!entry) continue;
        if (n < longest && !isLost(entry)) entry = LOST;
        found = found ? unite(found, entry) : entry;
      }
      const varies = here.some(([entry, n]) => entry === null && n > 1);
      if (found && varies && !isLost(found)) found = LOST;
      if (!found && !varies && here.some(([entry]) => entry === UNIFORM)) found = UNIFORM;
      out.push(found);
    }
    let dims = out.filter(isPlace).map((entry) => entry.dim);
    if (out.some(isPacked)) dims = dimsOf(out.flatMap((entry) => partsOf(entry, 0)));
    if (new Set(dims).size < dims.length) out = out.map((entry) => (entry ? LOST : entry));
    return out;
  }

  // `merged` of those tensors that depend on the image.
  function joined(tensors, ndim) {
    const states = tensors.filter((t) => t.axes.length).map((t) => [t.axes, t.shape]);
    if (!states.length) return [];
    const first = states[0][0];
    return first.length === ndim && states.every(([axes]) => same(axes, first))
      ? first
      : merged(states, ndim);
  }

  // The same units in the same order, in axes of other lengths.
  function reshaped(axes, lengths, shape) {
    if (!axes.some(Boolean)) return shape.map(() => null);
    const parts = fused(axes.flatMap((entry, i) => partsOf(entry, lengths[i])));
    const out = [];
    for (let n of shape) {
      let taken = [];
      while (n > 1) {
        const [length, entry] = parts.shift();
        if (n % length === 0) {
          taken.push([length, entry]);
          n /= length;
          continue;
        }
        const pieces = cut(length, entry, n);
        if (!pieces) return [null, ...Array(shape.length - 1).fill(LOST)];
        taken.push(pieces[0]);
        parts.unshift(pieces[1]);
        n = 1;
      }
      taken = fused(taken);
      const unknown = taken.find(([, entry]) => isLost(entry));
      if (unknown) out.push(unknown[1]);
      else if (taken.length < 2) out.push(taken.length ? taken[0][1] : null);
      else out.push({ parts: taken });
    }
    return out;
  }

  // A part in two, the outer of length `n`.
  function cut(length, entry, n) {
    const inner = Math.floor(length / n);
    if (length % n || (isPlace(entry) && !isPlain(entry.span))) return null;
    if (!isPlace(entry)) return [[n, entry], [inner, entry]];
    const { size, stride, start } = entry.span;
    return [
      [n, { dim: entry.dim, span: plain(size, stride * inner, start) }],
      [inner, { dim: entry.dim, span: plain(size, stride, 0) }],
    ];
  }

  // Neighbours that are one axis of the image again, or none of it, in one; without parts of length 1.
  function fused(parts) {
    const out = [];
    for (const [n, entry] of parts) {
      if (n === 1) continue;
      const [m, before] = out.at(-1) ?? [];
      if (out.length && entry === null && before === null) {
        out[out.length - 1] = [m * n, null];
      } else if (
        isPlace(entry) && isPlace(before) && entry.dim === before.dim &&
        isPlain(before.span) && isPlain(entry.span) && before.span.stride === entry.span.stride * n
      ) {
        const { size, start } = before.span;
        const span = plain(size, entry.span.stride, start + entry.span.start);
        out[out.length - 1] = [m * n, { dim: entry.dim, span }];
      } else out.push([n, entry]);
    }
    return out;
  }

  // `length` units of one axis, from `start` on.
  function sliced(axes, dim, start, length, step = 1) {
    const found = [...axes];
    const entry = axes[dim];
    if (isPacked(entry)) {
      const [[, outer], ...inner] = entry.parts;
      const block = product(inner.map(([n]) => n));
      const whole = step === 1 && start % block === 0 && length % block === 0;
      const cutOuter = outer && slid(outer, 1, 1, -start / block);
      found[dim] = whole ? { parts: [[length / block, cutOuter], ...inner] } : LOST;
    } else if (entry) found[dim] = slid(entry, 1, step, -start);
    return found;
  }

  // How many pixels a unit sees along each axis of the image, the height first; null if unknown.
  function pixelsOf(axes) {
    if (!axes.some(Boolean) || axes.some(isLost)) return null;
    if (axes.length > 2 && isPacked(axes[1]) && axes.slice(2).some(Boolean)) axes = mixed(axes, null, [1]);
    const pixels = new Map();
    for (const [, p] of axes.flatMap((entry) => partsOf(entry, 0))) {
      if (isPlace(p)) pixels.set(p.dim, Math.floor(sizeOf(p.span)));
    }
    return pixels.size ? [...pixels.keys()].sort().map((dim) => pixels.get(dim)) : null;
  }

  explorer.places = {
    UNIFORM, LOST, isPacked, isLost, place, resampled, slid, mixed, merged, joined, reshaped, sliced,
    pixelsOf, product,
  };
})();
