// Draw frames whose F0 was corrected by hand.

import { MEASURED_F0, trackPoints } from "./measures.js";

const CORRECTED = "#d6409f";
const MIN_DOT_DISTANCE = 5;

// Draw corrected frames in a different colour and with dots, and the measured F0 as a thin dashed line. A strip at the
// bottom marks all corrected frames, unvoiced ones too.
export function drawCorrected({ pen, axis, picture, theme }, lane, y) {
  const { values } = picture.tracks;
  const { points, fine } = trackPoints(values, 0, axis);
  const measured = trackPoints(values, MEASURED_F0, axis).points;
  const isCorrected = measured.map(({ high }) => !Number.isNaN(high));
  if (!isCorrected.includes(true)) return;
  const distance = points.length > 1 ? points[1].x - points[0].x : MIN_DOT_DISTANCE;
  pen.fillStyle = pen.strokeStyle = CORRECTED;
  points.forEach(({ x }, index) => isCorrected[index] && pen.fillRect(x - distance / 2, lane.bottom - 4, Math.max(1, distance + 0.5), 3));
  if (!fine) {
    points.forEach(({ x, low, high }, index) => isCorrected[index] && pen.fillRect(x - 0.5, y(high) - 0.75, 1, y(low) - y(high) + 1.5));
    return;
  }
  const corrected = points.map(({ x, low }, index) => ({ x, hz: isCorrected[index] ? low : NaN }));
  pen.lineWidth = 2.5;
  strokeLine(pen, corrected, y);
  for (const { x, hz } of distance >= MIN_DOT_DISTANCE ? corrected : []) {
    if (Number.isNaN(hz)) continue;
    pen.beginPath();
    pen.arc(x, y(hz), 2.5, 0, 2 * Math.PI);
    pen.fill();
  }
  pen.strokeStyle = theme.text;
  pen.lineWidth = 1;
  pen.setLineDash([3, 3]);
  strokeLine(pen, measured.map(({ x, low }) => ({ x, hz: low || NaN })), y);
  pen.setLineDash([]);
}

function strokeLine(pen, points, y) {
  pen.beginPath();
  let previous = NaN;
  for (const { x, hz } of points) {
    if (Number.isNaN(previous)) pen.moveTo(x - 1, y(hz)); // a single frame is a dash
    if (!Number.isNaN(hz)) pen.lineTo(x, y(hz));
    previous = hz;
  }
  pen.stroke();
}
