// Networks: those of the course, each in a script of its own that is loaded when it is asked for, and the reader's.
"use strict";

(() => {
  const home = document.currentScript.src.replace(/[^/]*$/, "");
  const loaded = new Map();

  // What is wrong with a file that should hold an exported network; null if nothing is.
  function fault(net) {
    if (net?.format !== "cnnlib costs") return "no network that cnnlib exported";
    if (net.version !== 1) return `version ${net.version} of the format, and this page reads version 1`;
    const lists = ["image", "frames", "ops", "frees", "rows"];
    const missing = lists.find((name) => !Array.isArray(net[name]));
    return missing ? `no list of ${missing}` : null;
  }

  // Each network's script calls this.
  explorer.add = (net) => loaded.set(net.name, net);

  // A file that a reader dropped. Returns the name under which it can be chosen.
  explorer.addFile = (text) => {
    let net = null;
    try {
      net = JSON.parse(text);
    } catch {
      throw new Error("The file is no JSON. Write one with cnnlib costs FILE.py:NAME --export net.json");
    }
    const wrong = fault(net);
    if (wrong) throw new Error(`The file holds ${wrong}.`);
    const name = `your ${net.name}`;
    loaded.set(name, net);
    return name;
  };

  explorer.own = () => [...loaded.keys()].filter((name) => name.startsWith("your "));

  // A promise of the network.
  explorer.load = (name) =>
    new Promise((resolve, reject) => {
      if (loaded.has(name)) return resolve(loaded.get(name));
      if (!explorer.networks.some(([known]) => known === name)) {
        return reject(new Error(`There is no network ${name} on this page.`));
      }
      const script = document.createElement("script");
      script.src = `${home}nets/${name}.js`;
      script.onload = () => resolve(loaded.get(name));
      script.onerror = () => reject(new Error(`The file of ${name} could not be loaded.`));
      document.head.append(script);
    });
})();
