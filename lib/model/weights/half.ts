let table: Float32Array | undefined;

/** The float32 value of each of the 65,536 float16 bit patterns (256 KiB, made when first asked for). */
export function halfToFloat(): Float32Array {
  if (table) return table;
  // As bits, so that a NaN keeps its payload.
  const float = new Float32Array(65536);
  const bits = new Uint32Array(float.buffer);
  for (let half = 0; half < 65536; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 0) float[half] = (sign ? -fraction : fraction) * 2 ** -24;
    else bits[half] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13);
  }
  table = float;
  return table;
}
