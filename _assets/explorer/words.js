// Numbers as text, as cnnlib.table writes them, and text as HTML or CSV.
"use strict";

(() => {
  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
  // What stands in a reader's file may be anything: only numbers come out.
  const whole = (n) => Number(n).toLocaleString("en-US");
  const shape = (sides) => sides.map(Number).join("×");

  function size(bytes) {
    let unit = 0;
    for (; bytes >= 1024 && unit < UNITS.length - 1; unit++) bytes /= 1024;
    return `${bytes.toLocaleString("en-US", { maximumFractionDigits: 2 })} ${UNITS[unit]}`;
  }

  // One number where both axes agree, as for a square window.
  function sees(pixels) {
    return pixels && pixels.every((n) => n === pixels[0]) ? pixels[0] : pixels;
  }

  const field = (seen) => (seen === null ? "" : Array.isArray(seen) ? shape(seen) : whole(seen));

  function csv(cost) {
    const columns = ["name", "kind", "out", "params", "macs", "activations", "memory", "live", "sees"];
    const quoted = (cell) => (/[",\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell);
    const lines = cost.rows.map((row) => [
      row.name, row.kind, shape(row.out), row.params, row.macs, row.activations, row.memory, row.live,
      field(sees(row.pixels)).replaceAll(",", ""),
    ]);
    return [columns, ...lines].map((line) => line.map(quoted).join(",")).join("\n") + "\n";
  }

  explorer.words = { escape, whole, shape, size, sees, field, csv };
})();
