// Window arithmetic on whole numbers, as cnnlib.shapes has it: how large a map becomes, and what its units see.
"use strict";

(() => {
  const explorer = (window.explorer ??= {});

  // A fraction [numerator, denominator] in lowest terms.
  const gcd = (a, b) => (b ? gcd(b, a % b) : Math.abs(a));
  const fraction = (n, d = 1) => {
    const by = gcd(n, d) || 1;
    return d < 0 ? [-n / by, -d / by] : [n / by, d / by];
  };
  const plus = ([a, b], [c, d]) => fraction(a * d + c * b, b * d);
  const times = ([a, b], [c, d]) => fraction(a * c, b * d);
  const floor = ([a, b]) => Math.floor(a / b);
  const ceil = ([a, b]) => Math.ceil(a / b);

  function outSize(n, kernel, stride, pad, dilation, ceilMode) {
    const slack = n + 2 * pad - dilation * (kernel - 1) - 1;
    let out = (ceilMode ? Math.ceil(slack / stride) : Math.floor(slack / stride)) + 1;
    if (ceilMode && (out - 1) * stride >= n + pad) out -= 1;
    return out;
  }

  // What units see along one axis of the image. Plain: unit i sees `size` pixels from `start + i * stride` on.
  // Periodic: unit r + m * first.length sees first[r] + m * advance to last[r] + m * advance.
  const plain = (size, stride, start) => ({ size, stride, start });
  const isPlain = (span) => span.first === undefined;
  const periodic = (span) =>
    isPlain(span)
      ? { first: [span.start], last: [span.start + span.size - 1], advance: span.stride }
      : span;
  const sizeOf = (span) =>
    isPlain(span) ? span.size : Math.max(0, ...span.first.map((low, i) => span.last[i] - low + 1));
  const strideOf = (span) => (isPlain(span) ? [span.stride, 1] : fraction(span.advance, span.first.length));
  const sameStride = (a, b) => String(strideOf(a)) === String(strideOf(b));

  function pixels(span, unit) {
    const n = span.first.length;
    const turns = Math.floor(unit / n);
    const r = unit - turns * n;
    return [span.first[r] + turns * span.advance, span.last[r] + turns * span.advance];
  }

  // A plain span if all units see alike.
  function plainest(first, last, stride) {
    const step = stride[0];
    const alike =
      stride[1] === 1 &&
      first[0] < Infinity &&
      first.every((low, i) => low === first[0] + i * step && last[i] === last[0] + i * step);
    if (alike) return plain(last[0] - first[0] + 1, step, first[0]);
    return { first, last, advance: times(stride, [first.length, 1])[0] };
  }

  // Behind units that read `units(i)` of these, `step` further from one to the next.
  function read(span, step, units) {
    const n = span.first.length;
    const period = step[1] * (n / gcd(n, step[0]));
    const [first, last] = [[], []];
    for (let i = 0; i < period; i++) {
      const seen = units(i).map((unit) => pixels(span, unit));
      first.push(Math.min(Infinity, ...seen.map(([low]) => low)));
      last.push(Math.max(-Infinity, ...seen.map(([, high]) => high)));
    }
    return plainest(first, last, times(step, strideOf(span)));
  }

  function through(span, kernel, stride = 1, pad = 0, dilation = 1) {
    if (isPlain(span)) {
      const size = span.size + (kernel - 1) * dilation * span.stride;
      return plain(size, span.stride * stride, span.start - pad * span.stride);
    }
    const window = Array.from({ length: kernel }, (_, k) => k * dilation - pad);
    return read(span, [stride, 1], (i) => window.map((t) => i * stride + t));
  }

  function union(a, b) {
    if (isPlain(a) && isPlain(b)) {
      const start = Math.min(a.start, b.start);
      const end = Math.max(a.start + a.size, b.start + b.size);
      return plain(end - start, Math.max(a.stride, b.stride), start);
    }
    [a, b] = [periodic(a), periodic(b)];
    const n = (a.first.length * b.first.length) / gcd(a.first.length, b.first.length);
    const both = Array.from({ length: n }, (_, i) => [pixels(a, i), pixels(b, i)]);
    return plainest(
      both.map(([one, two]) => Math.min(one[0], two[0])),
      both.map(([one, two]) => Math.max(one[1], two[1])),
      strideOf(a),
    );
  }

  // Behind units that read those from `first + i * step` to `last + i * step`.
  function resample(span, first, last, step) {
    return read(periodic(span), step, (i) => {
      const from = ceil(plus(first, times([i, 1], step)));
      const to = floor(plus(last, times([i, 1], step)));
      return Array.from({ length: Math.max(0, to - from + 1) }, (_, k) => from + k);
    });
  }

  explorer.shapes = {
    fraction, plus, outSize, plain, isPlain, sizeOf, sameStride, through, union, resample,
  };
})();
