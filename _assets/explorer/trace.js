// What an exported network costs on images of a given size, as cnnlib.trace counts it.
"use strict";

(() => {
  const { plain } = explorer.shapes;
  const { LOST, isLost, joined, pixelsOf, product } = explorer.places;
  const { rules, Unfit } = explorer.operations;
  const BYTES = { float64: 8, float32: 4, float16: 2, bfloat16: 2 };

  const USUAL = { stride: [1, 1], pad: [0, 0], dilation: [1, 1], ceil: false };

  // The network cannot take such images; its message says why.
  class Refusal extends Error {}

  const tuple = (shape) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;

  // A setting with the lengths of this run in place of those that depend on the image.
  function filled(value, tensors) {
    if (Array.isArray(value)) return value.map((part) => filled(part, tensors));
    if (value && value.tensor !== undefined) return tensors[value.tensor].shape[value.axis] + value.plus;
    return value;
  }

  // Places that were lost just now, with the operation that lost them and where it stands.
  function named(axes, settings, word, frame) {
    const here = { lost: (settings.name ?? (word === "join" ? "add" : word)) + (frame[0] ? ` in ${frame[0]}` : "") };
    return axes.map((entry) => (isLost(entry) && entry.lost === LOST.lost ? here : entry));
  }

  function limitsSentence(net, image, batch) {
    if (!net.limits) return null;
    const [channels, smallest, largest] = net.limits;
    const [, height, width] = image;
    const fits = Math.min(height, width) >= smallest && (!largest || Math.max(height, width) <= largest);
    if (fits && image[0] === channels) return null;
    const span = largest ? `${smallest} to ${largest}` : `at least ${smallest}`;
    return `${net.name} got ${tuple([batch, ...image])}: need images of ${span} pixels a side`;
  }

  function sentence(net, image, batch, tensors, frame, error) {
    const limits = limitsSentence(net, image, batch);
    if (limits) return limits;
    const [name, kind, inputs] = frame;
    const got = inputs.map((r) => tuple(typeof r === "number" ? tensors[r].shape : r)).join(", ");
    const need = /Conv|Linear|Pool|Norm/.test(kind) ? error.need : "";
    const layer = name ? `layer '${name}' (${kind})` : kind;
    const place = name || need ? `${layer}${got && ` got ${got}`}${need}` : "its forward";
    return `${net.name} cannot run on image ${tuple(image)}: ${place}. PyTorch says: ${error.message}`;
  }

  // Elements of the outputs that lie in new memory.
  function newMaps(word, count, shape, settings) {
    if (word === "fixed") return settings.shapes.slice(0, count).map(product);
    const sizes = [product(shape)];
    if (word === "norm") {
      const statistics = product(shape.slice(0, shape.length - settings.last.length));
      sizes.push(statistics, statistics);
    }
    return sizes.slice(0, count);
  }

  // Runs all operations for their shapes alone.
  function run(net, image, batch) {
    const axes = [null, null, { dim: 0, span: plain(1, 1, 0) }, { dim: 1, span: plain(1, 1, 0) }];
    const tensors = [{ shape: [batch, ...image], axes }];
    const outputs = []; // of each operation, its MACs and its new maps
    let lastMap = axes;
    for (const [word, at, references, given, count] of net.ops) {
      if (word === "fixed") {
        outputs.push({ macs: 0, maps: newMaps(word, count, null, { shapes: filled(given.shapes, tensors) }) });
        continue;
      }
      const inputs = references.map((r) => (typeof r === "number" ? tensors[r] : { shape: r, axes: [] }));
      const settings = { ...USUAL };
      for (const [name, value] of Object.entries(given)) settings[name] = filled(value, tensors);
      const rule = rules[word];
      if (!rule) throw new Refusal(`${net.name} holds an operation that this page does not know: ${word}`);
      let shape;
      try {
        shape = rule.shape(inputs, settings);
      } catch (error) {
        if (!(error instanceof Unfit)) throw error;
        throw new Refusal(sentence(net, image, batch, tensors, net.frames[at], error));
      }
      let found = inputs.some((t) => t.axes.length) ? rule.axes(inputs, settings, shape) : [];
      found = named(found, settings, word, net.frames[at]);
      if (found.length && found.length !== shape.length) found = joined(inputs, shape.length);
      tensors.push({ shape, axes: found });
      outputs.push({ macs: rule.macs(inputs, settings, shape), maps: newMaps(word, count, shape, settings) });
      if (found.length > 2 && found.some(Boolean)) lastMap = found;
    }
    return { tensors, outputs, lastMap };
  }

  // Bytes alive after each operation and each death, and the most there ever were.
  function liveness(net, outputs, imageElements, bytes) {
    const maps = [imageElements];
    const made = [imageElements]; // elements made before operation i
    let [alive, peak, at] = [imageElements, imageElements, 0];
    const freed = [0];
    const deaths = net.frees;
    const bury = (time) => {
      for (; at < deaths.length && deaths[at] <= time; at += 2) {
        alive -= maps[deaths[at + 1]];
        freed.push(freed.at(-1) + maps[deaths[at + 1]]);
      }
    };
    outputs.forEach((output, i) => {
      bury(i);
      for (const n of output.maps) {
        maps.push(n);
        alive += n;
        peak = Math.max(peak, alive);
      }
      made.push(made.at(-1) + output.maps.reduce((a, b) => a + b, 0));
    });
    bury(Infinity);
    return { peak: peak * bytes, after: (ops, deathsUntil) => (made[ops] - freed[deathsUntil]) * bytes };
  }

  function label([name, kind, , call], operation) {
    const place = operation ? (name ? `${name}:${operation}` : operation) : name || kind;
    return call ? `${place} (call ${call + 1})` : place;
  }

  function trace(net, { height, width, batch = 1, dtype = net.dtype }) {
    const image = [net.image[0], height, width];
    const bytes = BYTES[dtype];
    const { tensors, outputs, lastMap } = run(net, image, batch);
    const live = liveness(net, outputs, product([batch, ...image]), bytes);
    const rows = net.rows.map(([at, operation, params, output, ops, layer, until, freed]) => {
      if (output === null) {
        const nothing = { out: [], macs: 0, activations: 0, memory: 0, layer: 0, pixels: null, live: 0 };
        return { name: at, kind: operation, params, ...nothing };
      }
      const tensor = typeof output === "number" ? tensors[output] : { shape: output, axes: [] };
      const maps = ops.map((i) => outputs[i].maps.reduce((a, b) => a + b, 0));
      return {
        name: label(net.frames[at], operation),
        kind: operation || net.frames[at][1],
        out: tensor.shape.slice(1),
        params,
        macs: ops.reduce((sum, i) => sum + outputs[i].macs, 0),
        activations: product(tensor.shape),
        memory: (maps.findLast((n) => n > 0) ?? 0) * bytes,
        layer,
        pixels: pixelsOf(tensor.axes),
        live: live.after(until, freed),
      };
    });
    const total = (quantity, of = rows) => of.reduce((sum, row) => sum + row[quantity], 0);
    const lostAt = lastMap.find(isLost)?.lost ?? null;
    return {
      name: net.name,
      image,
      batch,
      dtype,
      rows,
      params: total("params"),
      paramBytes: total("params") * bytes,
      macs: total("macs"),
      activations: total("activations", rows.filter((row) => row.layer)),
      memory: live.peak,
      receptiveField: lostAt ? null : explorer.words.sees(pixelsOf(lastMap)) ?? 1,
      lostAt,
    };
  }

  Object.assign(explorer, { trace, Refusal, BYTES });
})();
