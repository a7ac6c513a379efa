// The largest of each window and the tap that has it, on rows of positions by channels. float32.
//
//   window_max     buf: 0 x, 1 the largest (or nothing), 2 its tap (or nothing)      unit: a line of windows
//   window_pick    buf: 0 x, 1 taps, 2 what lies there                               unit: a line of windows
//   window_spread  buf: 0 values of windows, 1 taps, 2 their sums where they came from   unit: a line of positions
//
//   dim[0] rows, dim[1..3] D, H, W of positions, dim[4] channels, dim[5..7] windows along each axis,
//   dim[8..10] window, dim[11..13] strides, dim[14..16] padding before, dim[17] bytes of a tap, 1 or 4
//
// A tap is the number of a position in the window. What lies in the padding does not exist; every window has a position.
// The first of equals; the first NaN before all. Sums of what windows share run from the last window to the first.
#pragma once
#include "simd.h"

namespace rv::RV_ISA {

RV_INLINE vi load_taps(const uint8_t* p, int64_t bytes, int64_t n) {
  if (bytes == 4) return as_int(load_part(reinterpret_cast<const float*>(p), n));
  if (n == W) return load_bytes(p);
  vi v{};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
RV_INLINE void store_taps(uint8_t* p, int64_t bytes, vi taps, int64_t n) {
  if (bytes == 4) store_part(reinterpret_cast<float*>(p), as_float(taps), n);
  else if (n == W) store_bytes(p, taps);
  else
    for (int64_t i = 0; i < n; ++i) p[i] = static_cast<uint8_t>(taps[i]);
}
RV_INLINE vf load_some(const float* p, int64_t n) { return n == W ? load(p) : load_part(p, n); }
RV_INLINE void store_some(float* p, vf v, int64_t n) {
  if (n == W) store(p, v);
  else store_part(p, v, n);
}

// Taps k0..k1 of window o along an axis that lie on positions.
struct Taps {
  int64_t at, k0, k1;  // position of tap 0
  RV_INLINE Taps of(int64_t o, int64_t size, int64_t window, int64_t stride, int64_t low) {
    Taps t;
    t.at = o * stride - low;
    t.k0 = t.at < 0 ? -t.at : 0;
    t.k1 = t.at + window > size ? size - t.at : window;
    return t;
  }
};

template <bool Pick>
RV_INLINE void over_windows(const Step& s, int worker, int workers) {
  const int64_t *d = s.dim, C = d[4], bytes = d[17];
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  const float* x = static_cast<const float*>(s.buf[0]);
  float* y = static_cast<float*>(s.buf[Pick ? 2 : 1]);
  uint8_t* taps = static_cast<uint8_t*>(s.buf[Pick ? 1 : 2]);
  for (int64_t line = first; line < last; ++line) {
    const int64_t n = line / (d[5] * d[6]), rest = line - n * d[5] * d[6], od = rest / d[6];
    const Taps z = Taps::of(od, d[1], d[8], d[11], d[14]), v = Taps::of(rest - od * d[6], d[2], d[9], d[12], d[15]);
    for (int64_t ow = 0; ow < d[7]; ++ow) {
      const Taps u = Taps::of(ow, d[3], d[10], d[13], d[16]);
      const int64_t to = (line * d[7] + ow) * C;
      for (int64_t c = 0; c < C; c += W) {
        const int64_t some = C - c < W ? C - c : W;
        vf best{};
        vi which = Pick ? load_taps(taps + (to + c) * bytes, bytes, some) : vi{};
        bool any = false;
        for (int64_t kd = z.k0; kd < z.k1; ++kd)
          for (int64_t kh = v.k0; kh < v.k1; ++kh) {
            const float* row = x + (((n * d[1] + z.at + kd) * d[2] + v.at + kh) * d[3] + u.at) * C + c;
            const int64_t number = (kd * d[9] + kh) * d[10];
            for (int64_t kw = u.k0; kw < u.k1; ++kw) {
              const vf a = load_some(row + kw * C, some);
              const vi tap = splati(static_cast<int32_t>(number + kw));
              if constexpr (Pick) {
                best = select(which == tap, a, best);
              } else if (!any) {
                best = a;
                which = tap;
                any = true;
              } else {
                const vi more = (a > best) | ((a != a) & (best == best));
                best = select(more, a, best);
                which = selecti(more, tap, which);
              }
            }
          }
        if (y) store_some(y + to + c, best, some);
        if (!Pick && taps) store_taps(taps + (to + c) * bytes, bytes, which, some);
      }
    }
  }
}

static void window_max(const Step& s, Frame&, int worker, int workers) { over_windows<false>(s, worker, workers); }
static void window_pick(const Step& s, Frame&, int worker, int workers) { over_windows<true>(s, worker, workers); }

// Windows o0..o1 along an axis that have position i.
struct Windows {
  int64_t at, o0, o1;  // i + low
  RV_INLINE Windows of(int64_t i, int64_t count, int64_t window, int64_t stride, int64_t low) {
    Windows r;
    r.at = i + low;
    r.o0 = r.at < window ? 0 : (r.at - window) / stride + 1;
    r.o1 = r.at / stride + 1 < count ? r.at / stride + 1 : count;
    return r;
  }
};

// Where no two windows share a position each is visited once: a line of positions, window by window.
static void spread_apart(const Step& s, int64_t first, int64_t last) {
  const int64_t *d = s.dim, C = d[4], bytes = d[17];
  const float* g = static_cast<const float*>(s.buf[0]);
  const uint8_t* taps = static_cast<const uint8_t*>(s.buf[1]);
  float* out = static_cast<float*>(s.buf[2]);
  for (int64_t line = first; line < last; ++line) {
    const int64_t n = line / (d[1] * d[2]), rest = line - n * d[1] * d[2], pd = rest / d[2];
    const Windows z = Windows::of(pd, d[5], d[8], d[11], d[14]);
    const Windows v = Windows::of(rest - pd * d[2], d[6], d[9], d[12], d[15]);
    float* to = out + line * d[3] * C;
    int64_t done = 0;  // positions of the line that are written
    if (z.o0 < z.o1 && v.o0 < v.o1) {
      const int64_t number = ((z.at - z.o0 * d[11]) * d[9] + v.at - v.o0 * d[12]) * d[10];
      for (int64_t ow = 0; ow < d[7]; ++ow) {
        const Taps u = Taps::of(ow, d[3], d[10], d[13], d[16]);
        __builtin_memset(to + done * C, 0, static_cast<size_t>((u.at + u.k0 - done) * C) * 4);
        done = u.at + u.k1;
        const int64_t at = (((n * d[5] + z.o0) * d[6] + v.o0) * d[7] + ow) * C;
        for (int64_t c = 0; c < C; c += W) {
          const int64_t some = C - c < W ? C - c : W;
          const vf value = load_some(g + at + c, some);
          const vi tap = load_taps(taps + (at + c) * bytes, bytes, some);
          for (int64_t kw = u.k0; kw < u.k1; ++kw)
            store_some(to + (u.at + kw) * C + c,
                       select(tap == splati(static_cast<int32_t>(number + kw)), value, vf{}) + vf{}, some);
        }
      }
    }
    __builtin_memset(to + done * C, 0, static_cast<size_t>((d[3] - done) * C) * 4);
  }
}

static void window_spread(const Step& s, Frame&, int worker, int workers) {
  const int64_t *d = s.dim, C = d[4], bytes = d[17];
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  if (d[8] <= d[11] && d[9] <= d[12] && d[10] <= d[13]) return spread_apart(s, first, last);
  const float* g = static_cast<const float*>(s.buf[0]);
  const uint8_t* taps = static_cast<const uint8_t*>(s.buf[1]);
  float* out = static_cast<float*>(s.buf[2]);
  for (int64_t line = first; line < last; ++line) {
    const int64_t n = line / (d[1] * d[2]), rest = line - n * d[1] * d[2], pd = rest / d[2];
    const Windows z = Windows::of(pd, d[5], d[8], d[11], d[14]);
    const Windows v = Windows::of(rest - pd * d[2], d[6], d[9], d[12], d[15]);
    for (int64_t pw = 0; pw < d[3]; ++pw) {
      const Windows u = Windows::of(pw, d[7], d[10], d[13], d[16]);
      float* to = out + (line * d[3] + pw) * C;
      for (int64_t c = 0; c < C; c += W) {
        const int64_t some = C - c < W ? C - c : W;
        vf sum{};
        for (int64_t od = z.o1 - 1; od >= z.o0; --od)
          for (int64_t oh = v.o1 - 1; oh >= v.o0; --oh)
            for (int64_t ow = u.o1 - 1; ow >= u.o0; --ow) {
              const int64_t at = (((n * d[5] + od) * d[6] + oh) * d[7] + ow) * C + c;
              const int64_t kd = z.at - od * d[11], kh = v.at - oh * d[12], kw = u.at - ow * d[13];
              const vi tap = splati(static_cast<int32_t>((kd * d[9] + kh) * d[10] + kw));
              sum += select(load_taps(taps + at * bytes, bytes, some) == tap, load_some(g + at, some), vf{});
            }
        store_some(to + c, sum, some);
      }
    }
  }
}

}  // namespace rv::RV_ISA
