#include "attend/kernels/cells.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attend/kernels/cells.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "attend/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void Copy(float* to, const float* from, int64_t size) { std::memcpy(to, from, sizeof(float) * static_cast<size_t>(size)); }
void Clear(float* to, int64_t size) { std::memset(to, 0, sizeof(float) * static_cast<size_t>(size)); }

void GruForwardRows(const float* x, int64_t x_stride, const float* u, int64_t u_stride, const float* h, int64_t h_stride,
                    const uint8_t* active, int64_t size, int64_t begin, int64_t end, float* h_out, int64_t out_stride, float* saved,
                    int64_t saved_stride) {
  for (int64_t i = begin; i < end; i++) {
    const float *xi = x + i * x_stride, *ui = u + i * u_stride, *hi = h + i * h_stride;
    float *oi = h_out + i * out_stride, *si = saved ? saved + i * saved_stride : nullptr;
    if (active && !active[i]) {
      Copy(oi, hi, size);
      continue;
    }
    Lanes(size, [=](auto d, int64_t j) HWY_ATTR {
      const auto r = Sigmoid(d, hn::Add(hn::LoadU(d, xi + j), hn::LoadU(d, ui + j)));
      const auto z = Sigmoid(d, hn::Add(hn::LoadU(d, xi + size + j), hn::LoadU(d, ui + size + j)));
      const auto un = hn::LoadU(d, ui + 2 * size + j);
      const auto n = Tanh(d, hn::MulAdd(r, un, hn::LoadU(d, xi + 2 * size + j)));
      hn::StoreU(hn::MulAdd(z, hn::Sub(hn::LoadU(d, hi + j), n), n), d, oi + j);
      if (si) {
        hn::StoreU(r, d, si + j);
        hn::StoreU(z, d, si + size + j);
        hn::StoreU(n, d, si + 2 * size + j);
        hn::StoreU(un, d, si + 3 * size + j);
      }
    });
  }
}

void GruBackwardRows(const float* dh_out, int64_t dh_out_stride, const float* saved, int64_t saved_stride, const float* h, int64_t h_stride,
                     const uint8_t* active, int64_t size, int64_t begin, int64_t end, float* dx, int64_t dx_stride, float* du,
                     int64_t du_stride, float* dh, int64_t dh_stride) {
  for (int64_t i = begin; i < end; i++) {
    const float *gi = dh_out + i * dh_out_stride, *si = saved + i * saved_stride, *hi = h + i * h_stride;
    float *dxi = dx + i * dx_stride, *dui = du + i * du_stride, *dhi = dh + i * dh_stride;
    if (active && !active[i]) {
      Clear(dxi, 3 * size);
      Clear(dui, 3 * size);
      Copy(dhi, gi, size);
      continue;
    }
    Lanes(size, [=](auto d, int64_t j) HWY_ATTR {
      const auto one = hn::Set(d, 1.0f);
      const auto g = hn::LoadU(d, gi + j), r = hn::LoadU(d, si + j), z = hn::LoadU(d, si + size + j);
      const auto n = hn::LoadU(d, si + 2 * size + j), un = hn::LoadU(d, si + 3 * size + j);
      // h' = n + z (h - n); n = tanh(x_n + r u_n)
      const auto dn = hn::Mul(hn::Mul(g, hn::Sub(one, z)), hn::NegMulAdd(n, n, one));
      const auto dz = hn::Mul(hn::Mul(g, hn::Sub(hn::LoadU(d, hi + j), n)), hn::Mul(z, hn::Sub(one, z)));
      const auto dr = hn::Mul(hn::Mul(dn, un), hn::Mul(r, hn::Sub(one, r)));
      hn::StoreU(dr, d, dxi + j);
      hn::StoreU(dz, d, dxi + size + j);
      hn::StoreU(dn, d, dxi + 2 * size + j);
      hn::StoreU(dr, d, dui + j);
      hn::StoreU(dz, d, dui + size + j);
      hn::StoreU(hn::Mul(dn, r), d, dui + 2 * size + j);
      hn::StoreU(hn::Mul(g, z), d, dhi + j);
    });
  }
}

void LstmForwardRows(const float* gates, int64_t gates_stride, const float* h, int64_t h_stride, const float* c, int64_t c_stride,
                     const uint8_t* active, int64_t size, int64_t begin, int64_t end, float* h_out, int64_t out_stride, float* c_out,
                     int64_t c_out_stride, float* saved, int64_t saved_stride) {
  for (int64_t i = begin; i < end; i++) {
    const float *gi = gates + i * gates_stride, *hi = h + i * h_stride, *ci = c + i * c_stride;
    float *ho = h_out + i * out_stride, *co = c_out + i * c_out_stride, *si = saved ? saved + i * saved_stride : nullptr;
    if (active && !active[i]) {
      Copy(ho, hi, size);
      Copy(co, ci, size);
      continue;
    }
    Lanes(size, [=](auto d, int64_t j) HWY_ATTR {
      const auto in = Sigmoid(d, hn::LoadU(d, gi + j)), f = Sigmoid(d, hn::LoadU(d, gi + size + j));
      const auto g = Tanh(d, hn::LoadU(d, gi + 2 * size + j)), o = Sigmoid(d, hn::LoadU(d, gi + 3 * size + j));
      const auto cell = hn::MulAdd(f, hn::LoadU(d, ci + j), hn::Mul(in, g));
      const auto t = Tanh(d, cell);
      hn::StoreU(cell, d, co + j);
      hn::StoreU(hn::Mul(o, t), d, ho + j);
      if (si) {
        hn::StoreU(in, d, si + j);
        hn::StoreU(f, d, si + size + j);
        hn::StoreU(g, d, si + 2 * size + j);
        hn::StoreU(o, d, si + 3 * size + j);
        hn::StoreU(t, d, si + 4 * size + j);
      }
    });
  }
}

void LstmBackwardRows(const float* dh_out, int64_t dh_out_stride, const float* dc_out, int64_t dc_out_stride, const float* saved,
                      int64_t saved_stride, const float* c, int64_t c_stride, const uint8_t* active, int64_t size, int64_t begin,
                      int64_t end, float* dgates, int64_t dgates_stride, float* dh, int64_t dh_stride, float* dc, int64_t dc_stride) {
  for (int64_t i = begin; i < end; i++) {
    const float *gh = dh_out + i * dh_out_stride, *gc = dc_out + i * dc_out_stride, *si = saved + i * saved_stride, *ci = c + i * c_stride;
    float *dg = dgates + i * dgates_stride, *dhi = dh + i * dh_stride, *dci = dc + i * dc_stride;
    if (active && !active[i]) {
      Clear(dg, 4 * size);
      Copy(dhi, gh, size);
      Copy(dci, gc, size);
      continue;
    }
    Clear(dhi, size);
    Lanes(size, [=](auto d, int64_t j) HWY_ATTR {
      const auto one = hn::Set(d, 1.0f);
      const auto in = hn::LoadU(d, si + j), f = hn::LoadU(d, si + size + j), g = hn::LoadU(d, si + 2 * size + j);
      const auto o = hn::LoadU(d, si + 3 * size + j), t = hn::LoadU(d, si + 4 * size + j), dho = hn::LoadU(d, gh + j);
      // h' = o tanh(c'); c' = f c + i g
      const auto dcell = hn::MulAdd(hn::Mul(dho, o), hn::NegMulAdd(t, t, one), hn::LoadU(d, gc + j));
      hn::StoreU(hn::Mul(hn::Mul(dcell, g), hn::Mul(in, hn::Sub(one, in))), d, dg + j);
      hn::StoreU(hn::Mul(hn::Mul(dcell, hn::LoadU(d, ci + j)), hn::Mul(f, hn::Sub(one, f))), d, dg + size + j);
      hn::StoreU(hn::Mul(hn::Mul(dcell, in), hn::NegMulAdd(g, g, one)), d, dg + 2 * size + j);
      hn::StoreU(hn::Mul(hn::Mul(dho, t), hn::Mul(o, hn::Sub(one, o))), d, dg + 3 * size + j);
      hn::StoreU(hn::Mul(dcell, f), d, dci + j);
    });
  }
}

void ElmanForwardRows(const float* gates, int64_t gates_stride, const float* h, int64_t h_stride, const uint8_t* active, int64_t size,
                      int64_t begin, int64_t end, float* h_out, int64_t out_stride, float* saved, int64_t saved_stride) {
  for (int64_t i = begin; i < end; i++) {
    const float *gi = gates + i * gates_stride, *hi = h + i * h_stride;
    float *ho = h_out + i * out_stride, *si = saved ? saved + i * saved_stride : nullptr;
    if (active && !active[i]) {
      Copy(ho, hi, size);
      continue;
    }
    Lanes(size, [=](auto d, int64_t j) HWY_ATTR {
      const auto t = Tanh(d, hn::LoadU(d, gi + j));
      hn::StoreU(t, d, ho + j);
      if (si) hn::StoreU(t, d, si + j);
    });
  }
}

void ElmanBackwardRows(const float* dh_out, int64_t dh_out_stride, const float* saved, int64_t saved_stride, const uint8_t* active,
                       int64_t size, int64_t begin, int64_t end, float* dgates, int64_t dgates_stride, float* dh, int64_t dh_stride) {
  for (int64_t i = begin; i < end; i++) {
    const float *gh = dh_out + i * dh_out_stride, *si = saved + i * saved_stride;
    float *dg = dgates + i * dgates_stride, *dhi = dh + i * dh_stride;
    if (active && !active[i]) {
      Clear(dg, size);
      Copy(dhi, gh, size);
      continue;
    }
    Clear(dhi, size);
    Lanes(size, [=](auto d, int64_t j) HWY_ATTR {
      const auto t = hn::LoadU(d, si + j);
      hn::StoreU(hn::Mul(hn::LoadU(d, gh + j), hn::NegMulAdd(t, t, hn::Set(d, 1.0f))), d, dg + j);
    });
  }
}

}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attend::kernels {
HWY_EXPORT(GruForwardRows);
HWY_EXPORT(GruBackwardRows);
HWY_EXPORT(LstmForwardRows);
HWY_EXPORT(LstmBackwardRows);
HWY_EXPORT(ElmanForwardRows);
HWY_EXPORT(ElmanBackwardRows);

void GruForward(const float* x, int64_t x_stride, const float* u, int64_t u_stride, const float* h, int64_t h_stride, const uint8_t* active,
                int64_t size, int64_t begin, int64_t end, float* h_out, int64_t out_stride, float* saved, int64_t saved_stride) {
  HWY_DYNAMIC_DISPATCH(GruForwardRows)
  (x, x_stride, u, u_stride, h, h_stride, active, size, begin, end, h_out, out_stride, saved, saved_stride);
}
void GruBackward(const float* dh_out, int64_t dh_out_stride, const float* saved, int64_t saved_stride, const float* h, int64_t h_stride,
                 const uint8_t* active, int64_t size, int64_t begin, int64_t end, float* dx, int64_t dx_stride, float* du,
                 int64_t du_stride, float* dh, int64_t dh_stride) {
  HWY_DYNAMIC_DISPATCH(GruBackwardRows)
  (dh_out, dh_out_stride, saved, saved_stride, h, h_stride, active, size, begin, end, dx, dx_stride, du, du_stride, dh, dh_stride);
}
void LstmForward(const float* gates, int64_t gates_stride, const float* h, int64_t h_stride, const float* c, int64_t c_stride,
                 const uint8_t* active, int64_t size, int64_t begin, int64_t end, float* h_out, int64_t out_stride, float* c_out,
                 int64_t c_out_stride, float* saved, int64_t saved_stride) {
  HWY_DYNAMIC_DISPATCH(LstmForwardRows)
  (gates, gates_stride, h, h_stride, c, c_stride, active, size, begin, end, h_out, out_stride, c_out, c_out_stride, saved, saved_stride);
}
void LstmBackward(const float* dh_out, int64_t dh_out_stride, const float* dc_out, int64_t dc_out_stride, const float* saved,
                  int64_t saved_stride, const float* c, int64_t c_stride, const uint8_t* active, int64_t size, int64_t begin, int64_t end,
                  float* dgates, int64_t dgates_stride, float* dh, int64_t dh_stride, float* dc, int64_t dc_stride) {
  HWY_DYNAMIC_DISPATCH(LstmBackwardRows)
  (dh_out, dh_out_stride, dc_out, dc_out_stride, saved, saved_stride, c, c_stride, active, size, begin, end, dgates, dgates_stride, dh,
   dh_stride, dc, dc_stride);
}
void ElmanForward(const float* gates, int64_t gates_stride, const float* h, int64_t h_stride, const uint8_t* active, int64_t size,
                  int64_t begin, int64_t end, float* h_out, int64_t out_stride, float* saved, int64_t saved_stride) {
  HWY_DYNAMIC_DISPATCH(ElmanForwardRows)
  (gates, gates_stride, h, h_stride, active, size, begin, end, h_out, out_stride, saved, saved_stride);
}
void ElmanBackward(const float* dh_out, int64_t dh_out_stride, const float* saved, int64_t saved_stride, const uint8_t* active,
                   int64_t size, int64_t begin, int64_t end, float* dgates, int64_t dgates_stride, float* dh, int64_t dh_stride) {
  HWY_DYNAMIC_DISPATCH(ElmanBackwardRows)
  (dh_out, dh_out_stride, saved, saved_stride, active, size, begin, end, dgates, dgates_stride, dh, dh_stride);
}
}  // namespace attend::kernels
#endif
