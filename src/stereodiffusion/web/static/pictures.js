// Pictures of pairs, pixel by pixel. The matrices and what they act on are those of `formats/anaglyph.py`.

export function pixels(picture) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, picture.width, picture.height);
}

export const flat = pixels;

const LEVELS = 1 << 14;
const toLinear = Float32Array.from({ length: 256 }, (_, i) => {
  const v = i / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
});
const fromLinear = Uint8ClampedArray.from({ length: LEVELS + 1 }, (_, i) => {
  const v = i / LEVELS;
  return 255 * (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055);
});
const asIs = Float32Array.from({ length: 256 }, (_, i) => i / 255);

// What each eye adds to the red, green and blue of the anaglyph.
export function mixed(left, right, { left: ofLeft, right: ofRight, linear }) {
  const a = pixels(left).data;
  const b = pixels(right).data;
  const made = new ImageData(left.width, left.height);
  const out = made.data;
  const decode = linear ? toLinear : asIs;
  const rows = [0, 1, 2].map((row) => [...ofLeft[row], ...ofRight[row]]);
  for (let i = 0; i < out.length; i += 4) {
    const eyes = [decode[a[i]], decode[a[i + 1]], decode[a[i + 2]], decode[b[i]], decode[b[i + 1]], decode[b[i + 2]]];
    for (let channel = 0; channel < 3; channel++) {
      const row = rows[channel];
      let sum = 0;
      for (let k = 0; k < 6; k++) sum += row[k] * eyes[k];
      sum = sum < 0 ? 0 : sum > 1 ? 1 : sum;
      out[i + channel] = linear ? fromLinear[Math.round(sum * LEVELS)] : Math.round(sum * 255);
    }
    out[i + 3] = 255;
  }
  return made;
}

export function difference(left, right) {
  const made = pixels(left);
  const other = pixels(right).data;
  for (let i = 0; i < other.length; i++) if (i % 4 !== 3) made.data[i] = Math.abs(made.data[i] - other[i]);
  return made;
}
