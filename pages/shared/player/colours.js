// Colours of pictures: the theme's, and tables of 256 for spectrogram and relevance.

const MAP_STEPS = 256;

// "#rrggbb", "rgb(...)" or "rgba(...)" as red, green, blue 0..255 and alpha 0..1.
function channels(colour) {
  if (colour.startsWith("#")) return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return colour.match(/[\d.]+/g).map(Number);
}

// [[0..1, colour], ...] as a table of red, green, blue, alpha, each 0..255.
function colourTable(stops) {
  const corners = stops.map(([at, text]) => {
    const [red, green, blue, alpha = 1] = channels(text);
    return { at, colour: [red, green, blue, 255 * alpha] };
  });
  const table = new Uint8ClampedArray(4 * MAP_STEPS);
  for (let step = 0; step < MAP_STEPS; step++) {
    const at = step / (MAP_STEPS - 1);
    const next = Math.max(1, corners.findIndex((corner) => corner.at >= at));
    const [low, high] = [corners[next - 1], corners[next]];
    const share = clamp((at - low.at) / (high.at - low.at), 0, 1);
    table.set(low.colour.map((value, place) => value + share * (high.colour[place] - value)), 4 * step);
  }
  return table;
}

// Speech is dark on light paper and light on dark: what is silent recedes in both themes.
function greyTable(dark) {
  return colourTable(dark ? [[0, "rgb(12,14,18)"], [1, "rgb(232,234,238)"]] : [[0, "rgb(255,255,255)"], [1, "rgb(28,30,36)"]]);
}

function themeOf(element) {
  const style = getComputedStyle(element);
  const colour = (name, other) => style.getPropertyValue(name).trim() || other;
  const ground = colour("--st-background-color", "#ffffff");
  return {
    ground,
    text: colour("--st-text-color", "#31333f"),
    font: colour("--st-font", "sans-serif"),
    dark: lightness(ground) < 0.5,
  };
}

function lightness(colour) {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}

// The picture of a tile of a map, the lowest band below; `shade` turns a value into a step of the table.
function paintTile(tile, rows, table, shade) {
  const { data, columns } = tile;
  const canvas = new OffscreenCanvas(columns, rows);
  const image = new ImageData(columns, rows);
  const colours = new Uint32Array(table.buffer);
  const pixels = new Uint32Array(image.data.buffer);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) {
      pixels[(rows - 1 - row) * columns + column] = colours[shade(data[column * rows + row])];
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
