// Convolution in WebAssembly with SIMD, of one image and one group of maps: AssemblyScript, see `make wasm`.
//
// A block of eight windows is copied side by side (size × 8, size = channels · kh · kw), so that a matrix
// product reads it in one run; four maps by eight windows at a time are what fits in registers. Arguments
// are addresses of float32 arrays in C order, and sizes; `block` has room for size · 8 values.

const BLOCK: i32 = 8;

export function conv2d(
  input: usize, weights: usize, result: usize, block: usize, channels: i32, height: i32, width: i32, maps: i32,
  kh: i32, kw: i32, sy: i32, sx: i32, py: i32, px: i32, dy: i32, dx: i32, rows: i32, columns: i32,
): void {
  const count = rows * columns, size = channels * kh * kw;
  for (let first = 0; first < count; first += BLOCK) {
    const windows = min(BLOCK, count - first);
    memory.fill(block, 0, <usize>(size * BLOCK) << 2);
    for (let n = 0; n < windows; n++) {
      const row = (first + n) / columns, column = (first + n) % columns;
      const top = row * sy - py, left = column * sx - px;
      let to = block + (<usize>n << 2);
      for (let c = 0; c < channels; c++) {
        for (let ky = 0; ky < kh; ky++) {
          const y = top + ky * dy;
          if (y < 0 || y >= height) { to += <usize>(kw * BLOCK) << 2; continue; }
          const line = input + (<usize>((c * height + y) * width) << 2);
          for (let kx = 0; kx < kw; kx++, to += <usize>BLOCK << 2) {
            const x = left + kx * dx;
            if (x >= 0 && x < width) store<f32>(to, load<f32>(line + (<usize>x << 2)));
          }
        }
      }
    }
    for (let map = 0; map < maps; map += 4) multiply(weights, result, block, map, maps, size, first, windows, count);
  }
}

// Four maps' weights (rows of `size`) times the block; a map beyond the last is the last one again, not stored.
// @ts-ignore: decorator
@inline
function multiply(
  weights: usize, result: usize, block: usize, map: i32, maps: i32, size: i32, first: i32, windows: i32, count: i32,
): void {
  const last = maps - 1, row = <usize>size << 2;
  let w0 = weights + <usize>map * row;
  let w1 = weights + <usize>min(map + 1, last) * row;
  let w2 = weights + <usize>min(map + 2, last) * row;
  let w3 = weights + <usize>min(map + 3, last) * row;
  let a0 = f32x4.splat(0), a1 = f32x4.splat(0), b0 = f32x4.splat(0), b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0), c1 = f32x4.splat(0), d0 = f32x4.splat(0), d1 = f32x4.splat(0);
  for (let at = block, end = block + <usize>(size * BLOCK) * 4; at < end; at += <usize>BLOCK << 2) {
    const x0 = v128.load(at), x1 = v128.load(at, 16);
    let w = v128.load_splat<f32>(w0);
    a0 = f32x4.add(a0, f32x4.mul(w, x0)); a1 = f32x4.add(a1, f32x4.mul(w, x1));
    w = v128.load_splat<f32>(w1);
    b0 = f32x4.add(b0, f32x4.mul(w, x0)); b1 = f32x4.add(b1, f32x4.mul(w, x1));
    w = v128.load_splat<f32>(w2);
    c0 = f32x4.add(c0, f32x4.mul(w, x0)); c1 = f32x4.add(c1, f32x4.mul(w, x1));
    w = v128.load_splat<f32>(w3);
    d0 = f32x4.add(d0, f32x4.mul(w, x0)); d1 = f32x4.add(d1, f32x4.mul(w, x1));
    w0 += 4; w1 += 4; w2 += 4; w3 += 4;
  }
  const to = result + (<usize>(map * count + first) << 2), next = <usize>count << 2;
  keep(to, a0, a1, windows);
  if (map + 1 < maps) keep(to + next, b0, b1, windows);
  if (map + 2 < maps) keep(to + 2 * next, c0, c1, windows);
  if (map + 3 < maps) keep(to + 3 * next, d0, d1, windows);
}

// Stores the values of so many windows.
function keep(to: usize, low: v128, high: v128, windows: i32): void {
  if (windows === BLOCK) { v128.store(to, low); v128.store(to, high, 16); return; }
  for (let n = 0; n < windows; n++) {
    store<f32>(to + (<usize>n << 2), f32x4.extract_lane(low, 0));
    low = v128.shuffle<f32>(low, high, 1, 2, 3, 4);
    high = v128.shuffle<f32>(high, high, 1, 2, 3, 0);
  }
}
