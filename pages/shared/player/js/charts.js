// Plotly charts of the page that belong to the player: a click on one plays that moment, and the playhead moves over it.

const BEFORE_S = 0.3;
const AFTER_S = 0.5;
const LAYER = "hear-why-playhead";

export class Charts {
  constructor(player) {
    this.player = player;
    this.listening = new WeakSet();
    // Plotly reports a click only through its own events, and Streamlit may replace a chart in any run of the page. So the
    // listener is added when the pointer is pressed on a chart; the click follows on release.
    this.pressed = ({ target }) => this.listen(target.closest?.(".js-plotly-plot"));
    document.addEventListener("pointerdown", this.pressed, true);
  }

  all() {
    const { charts } = this.player.data ?? {};
    return charts ? [...document.querySelectorAll(`.st-key-${charts} .js-plotly-plot`)] : [];
  }

  listen(chart) {
    if (!chart || this.listening.has(chart) || !this.all().includes(chart)) return;
    this.listening.add(chart);
    chart.on("plotly_click", ({ points }) => {
      const { player } = this;
      const time = secondsOf(points.at(0)?.x);
      if (!Number.isFinite(time) || !player.root.isConnected) return;
      if (player.data.recording.long) player.playFrom(time); // a point covers many seconds
      else player.playAround(time, BEFORE_S, AFTER_S);
    });
  }

  // Show the stretch that is playing, and the playhead in it; nothing during silence.
  place(position) {
    const { run } = this.player.sound;
    for (const chart of this.all()) {
      const layer = chart.querySelector(`.${LAYER}`);
      if (run) placeOn(chart, layer ?? addLayer(chart), run.stretch ?? { start: position, end: position }, position);
      else layer?.remove();
    }
  }

  destroy() {
    document.removeEventListener("pointerdown", this.pressed, true);
    for (const layer of document.querySelectorAll(`.${LAYER}`)) layer.remove();
  }
}

// The times of a date axis, which shows hours and minutes, are dates since 1970.
const secondsOf = (x) => (typeof x === "string" ? Date.parse(`${x.replace(" ", "T")}${x.includes(" ") ? "Z" : ""}`) / 1000 : x);

function addLayer(chart) {
  const layer = document.createElement("div");
  layer.className = LAYER;
  layer.style.cssText = "position: absolute; overflow: hidden; pointer-events: none";
  for (const style of ["background: rgb(255 255 255 / 22%)", "width: 2px; background: white; box-shadow: 0 0 0 1px black"]) {
    const part = document.createElement("div");
    part.style.cssText = `position: absolute; top: 0; bottom: 0; ${style}`;
    layer.append(part);
  }
  chart.querySelector(".svg-container")?.append(layer); // there is none while Plotly draws the chart
  return layer;
}

// The layer covers all rows of the chart, as wide as their axis.
function placeOn(chart, layer, stretch, position) {
  const [left, top, width, height] = ["x", "y", "width", "height"].map((name) => (row) => Number(row.getAttribute(name)));
  const rows = [...chart.querySelectorAll("rect.nsewdrag")].toSorted((one, other) => top(one) - top(other));
  if (!rows.length) return;
  const [first, last] = [rows.at(0), rows.at(-1)];
  const [start, end] = chart.layout.xaxis.range.map(secondsOf);
  const at = (time) => (width(first) * (time - start)) / (end - start);
  const [band, line] = layer.children;
  set(layer, { left: left(first), top: top(first), width: width(first), height: top(last) + height(last) - top(first) });
  set(band, { left: at(stretch.start), width: at(stretch.end) - at(stretch.start) });
  set(line, { left: at(position) - 1 });
}

function set({ style }, pixels) {
  for (const [name, value] of Object.entries(pixels)) style[name] = `${value}px`;
}
