// Draw frames whose F0 was corrected by hand.

import { MEASURED_F0, trackPoints } from "./measures.js";

export const CORRECTED = "#d6409f";
const DOTS_APART = 5;

// Corrected frames in a colour of their own and with dots, over what was measured there as a thin dashed line. A strip below
// shows all of them, those that were made unvoiced too.
export function drawCorrected({ pen, axis, picture, theme }, lane, y) {
  const { values } = picture.tracks;
  const { points, fine } = trackPoints(values, 0, axis);
  const own = trackPoints(values, MEASURED_F0, axis).points;
  const isCorrected = own.map(({ high }) => !Number.isNaN(high));
  if (!isCorrected.includes(true)) return;
  const apart = points.length > 1 ? points[1].x - points[0].x : DOTS_APART;
  pen.fillStyle = pen.strokeStyle = CORRECTED;
  points.forEach(({ x }, index) => isCorrected[index] && pen.fillRect(x - apart / 2, lane.bottom - 4, Math.max(1, apart + 0.5), 3));
  if (!fine) {
    points.forEach(({ x, low, high }, index) => isCorrected[index] && pen.fillRect(x - 0.5, y(high) - 0.75, 1, y(low) - y(high) + 1.5));
    return;
  }
  const corrected = points.map(({ x, low }, index) => ({ x, hz: isCorrected[index] ? low : NaN }));
  pen.lineWidth = 2.5;
  strokeLine(pen, corrected, y);
  for (const { x, hz } of apart >= DOTS_APART ? corrected : []) {
    if (Number.isNaN(hz)) continue;
    pen.beginPath();
    pen.arc(x, y(hz), 2.5, 0, 2 * Math.PI);
    pen.fill();
  }
  pen.strokeStyle = theme.text;
  pen.lineWidth = 1;
  pen.setLineDash([3, 3]);
  strokeLine(pen, own.map(({ x, low }) => ({ x, hz: low || NaN })), y);
  pen.setLineDash([]);
}

function strokeLine(pen, points, y) {
  pen.beginPath();
  let before = NaN;
  for (const { x, hz } of points) {
    if (Number.isNaN(before)) pen.moveTo(x - 1, y(hz)); // one frame alone is a dash
    if (!Number.isNaN(hz)) pen.lineTo(x, y(hz));
    before = hz;
  }
  pen.stroke();
}
