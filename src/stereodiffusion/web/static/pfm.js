// Portable float maps: rows from the bottom up, little-endian.

export function decodePfm(buffer) {
  const head = new TextDecoder("latin1").decode(buffer.slice(0, 80));
  const [all, width, height, scale] = head.match(/^Pf\s+(\d+)\s+(\d+)\s+(-?[\d.]+)\s/);
  const view = new DataView(buffer, all.length);
  const [columns, rows] = [Number(width), Number(height)];
  const values = new Float32Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      values[(rows - 1 - row) * columns + column] = view.getFloat32(4 * (row * columns + column), Number(scale) < 0);
    }
  }
  return { width: columns, height: rows, values };
}

export function encodePfm(width, height, values) {
  const head = new TextEncoder().encode(`Pf\n${width} ${height}\n-1.0\n`);
  const buffer = new ArrayBuffer(head.length + 4 * values.length);
  new Uint8Array(buffer).set(head);
  const view = new DataView(buffer, head.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      view.setFloat32(4 * (row * width + column), values[(height - 1 - row) * width + column], true);
    }
  }
  return buffer;
}
