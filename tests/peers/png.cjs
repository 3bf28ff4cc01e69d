// Makes a browser's screenshot small enough for a repository: at most 256 colours, less than half the size. Text on flat
// backgrounds looks the same. Written after the PNG specification, https://www.w3.org/TR/png-3/.
"use strict";

const { deflateSync, inflateSync } = require("node:zlib");

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const CRC_TABLE = Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** Returns the picture with a palette. Takes 8 bits a channel, without alpha or interlacing. */
function withPalette(png) {
  const { width, height, pixels } = decode(png);
  const counts = new Map();
  for (const color of pixels) counts.set(color, (counts.get(color) ?? 0) + 1);
  const palette = paletteOf([...counts].sort(([a, m], [b, n]) => n - m || a - b).map(([color]) => color));
  const places = new Map([...counts.keys()].map((color) => [color, nearest(palette, color).place]));

  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // 8 bits, with a palette.
  header.set([8, 3], 8);
  const colors = Buffer.from(palette.flatMap((color) => channels(color)));
  // Each row begins with its filter; pictures with a palette are smallest without one.
  const rows = Buffer.alloc((width + 1) * height);
  for (const [at, color] of pixels.entries()) rows[at + Math.floor(at / width) + 1] = places.get(color);
  const data = deflateSync(rows, { level: 9, memLevel: 9 });
  return Buffer.concat([SIGNATURE, chunk("IHDR", header), chunk("PLTE", colors), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

function channels(color) {
  return [color >> 16, (color >> 8) & 0xff, color & 0xff];
}

/**
 * Chooses colours, the frequent ones first, so that every colour is near one of them: as near as 256 colours allow. The
 * most frequent ones stay exact, because backgrounds may differ only slightly.
 */
function paletteOf(colors) {
  for (let reach = 0; ; reach += 4) {
    const palette = colors.slice(0, 64);
    for (const color of colors.slice(64)) {
      if (palette.length > 256) break;
      if (nearest(palette, color).distance > reach ** 2) palette.push(color);
    }
    if (palette.length <= 256) return palette;
  }
}

/** Returns the place of the nearest colour, and the square of its distance. */
function nearest(palette, color) {
  const [red, green, blue] = channels(color);
  let found = { place: 0, distance: Infinity };
  for (const [place, candidate] of palette.entries()) {
    const [r, g, b] = channels(candidate);
    const distance = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
    if (distance < found.distance) found = { place, distance };
  }
  return found;
}

/** Returns the pixels, each as 0xRRGGBB. */
function decode(png) {
  const parts = [];
  let header;
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString("latin1", at + 4, at + 8);
    const data = png.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") header = data;
    if (type === "IDAT") parts.push(data);
    at += length + 12;
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  if (header.subarray(8).toString("hex") !== "0802000000") throw new Error("the screenshot is not 8 bits of red, green and blue");
  const filtered = inflateSync(Buffer.concat(parts));
  const row = width * 3;
  const bytes = Buffer.alloc(row * height);
  for (let y = 0; y < height; y += 1) {
    const filter = filtered[y * (row + 1)];
    for (let x = 0; x < row; x += 1) {
      const at = y * row + x;
      const left = x < 3 ? 0 : bytes[at - 3];
      const above = y === 0 ? 0 : bytes[at - row];
      const corner = x < 3 || y === 0 ? 0 : bytes[at - row - 3];
      const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter];
      bytes[at] = filtered[at + y + 1] + predicted;
    }
  }
  const pixels = new Uint32Array(width * height);
  for (let at = 0; at < pixels.length; at += 1) pixels[at] = bytes.readUIntBE(at * 3, 3);
  return { width, height, pixels };
}

function paeth(left, above, corner) {
  const estimate = left + above - corner;
  const [toLeft, toAbove, toCorner] = [left, above, corner].map((value) => Math.abs(estimate - value));
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  let crc = 0xffffffff;
  for (const byte of body) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE((crc ^ 0xffffffff) >>> 0, 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

module.exports = { withPalette };
