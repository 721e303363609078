// GroupNorm with an optional SiLU on channels_last tensors, forward and backward, one thread.
// PyTorch's native backward for this layout takes more than half of a training step on a CPU.
#include <torch/extension.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int64_t kBlock = 128;  // pixels summed in float before adding to a double

inline float load(const float* p) { return *p; }
inline void store(float* p, float v) { *p = v; }
struct Half16 { uint16_t bits; };
inline float load(const Half16* p) {
  uint32_t u = static_cast<uint32_t>(p->bits) << 16;
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
inline void store(Half16* p, float v) {
  uint32_t u;
  std::memcpy(&u, &v, 4);
  p->bits = static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

template <typename T>
void widen(const T* __restrict from, float* __restrict to, int64_t n) {
  for (int64_t c = 0; c < n; ++c) to[c] = load(from + c);
}
template <typename T>
void narrow(const float* __restrict from, T* __restrict to, int64_t n) {
  for (int64_t c = 0; c < n; ++c) store(to + c, from[c]);
}

// Turns d into the gradient before the activation, and adds it and its product with the normalised x to s1 and s2.
void push(const float* __restrict x, float* __restrict d, const float* __restrict mean, const float* __restrict rstd,
          const float* __restrict gamma, const float* __restrict beta, float* __restrict s1, float* __restrict s2,
          int64_t n, bool silu) {
  if (silu) {
    for (int64_t c = 0; c < n; ++c) {
      const float h = (x[c] - mean[c]) * rstd[c], z = gamma[c] * h + beta[c], q = 1.f / (1.f + expf(-z));
      const float g = d[c] * q * (1.f + z * (1.f - q));
      d[c] = g;
      s1[c] += g;
      s2[c] += g * h;
    }
  } else {
    for (int64_t c = 0; c < n; ++c) {
      s1[c] += d[c];
      s2[c] += d[c] * (x[c] - mean[c]) * rstd[c];
    }
  }
}

void finish(const float* __restrict x, float* __restrict d, const float* __restrict mean, const float* __restrict rstd,
            const float* __restrict gamma, const float* __restrict k1, const float* __restrict k2, int64_t n) {
  for (int64_t c = 0; c < n; ++c) {
    const float h = (x[c] - mean[c]) * rstd[c];
    d[c] = rstd[c] * (gamma[c] * d[c] - k1[c] - h * k2[c]);
  }
}

template <typename T>
void forward_one(const T* x, T* y, const float* gamma, const float* beta, float* mean, float* rstd, int64_t pixels,
                 int64_t channels, int64_t groups, double eps, bool silu, std::vector<float>& s) {
  const int64_t width = channels / groups;
  std::vector<double> sum(channels, 0.0), square(channels, 0.0);
  s.assign(2 * channels, 0.f);
  float *s1 = s.data(), *s2 = s.data() + channels;
  for (int64_t start = 0; start < pixels; start += kBlock) {
    const int64_t end = std::min(pixels, start + kBlock);
    std::fill(s.begin(), s.end(), 0.f);
    for (int64_t p = start; p < end; ++p) {
      const T* row = x + p * channels;
#pragma GCC ivdep
      for (int64_t c = 0; c < channels; ++c) {
        const float v = load(row + c);
        s1[c] += v;
        s2[c] += v * v;
      }
    }
    for (int64_t c = 0; c < channels; ++c) sum[c] += s1[c], square[c] += s2[c];
  }
  float *scale = s1, *shift = s2;
  for (int64_t g = 0; g < groups; ++g) {
    double a = 0, b = 0;
    for (int64_t c = g * width; c < (g + 1) * width; ++c) a += sum[c], b += square[c];
    const double n = static_cast<double>(pixels * width), m = a / n;
    mean[g] = static_cast<float>(m);
    rstd[g] = static_cast<float>(1.0 / std::sqrt(std::max(b / n - m * m, 0.0) + eps));
    for (int64_t c = g * width; c < (g + 1) * width; ++c) {
      scale[c] = gamma[c] * rstd[g];
      shift[c] = beta[c] - mean[g] * scale[c];
    }
  }
  for (int64_t p = 0; p < pixels; ++p) {
    const T* row = x + p * channels;
    T* out = y + p * channels;
    if (silu) {
#pragma GCC ivdep
      for (int64_t c = 0; c < channels; ++c) {
        const float z = scale[c] * load(row + c) + shift[c];
        store(out + c, z / (1.f + expf(-z)));
      }
    } else {
#pragma GCC ivdep
      for (int64_t c = 0; c < channels; ++c) store(out + c, scale[c] * load(row + c) + shift[c]);
    }
  }
}

template <typename T>
void backward_one(const T* dy, const T* x, T* dx, const float* gamma, const float* beta, const float* mean,
                  const float* rstd, double* dgamma, double* dbeta, int64_t pixels, int64_t channels, int64_t groups,
                  bool silu) {
  const int64_t width = channels / groups;
  std::vector<float> mu(channels), r(channels), f(2 * channels), wide(2 * channels), k1(channels), k2(channels);
  std::vector<double> sum(channels, 0.0), dot(channels, 0.0);
  for (int64_t c = 0; c < channels; ++c) mu[c] = mean[c / width], r[c] = rstd[c / width];
  float *s1 = f.data(), *s2 = f.data() + channels;
  float *h = wide.data(), *d = wide.data() + channels;
  const float *pm = mu.data(), *pr = r.data();
  for (int64_t start = 0; start < pixels; start += kBlock) {
    const int64_t end = std::min(pixels, start + kBlock);
    std::fill(f.begin(), f.end(), 0.f);
    for (int64_t p = start; p < end; ++p) {
      widen(x + p * channels, h, channels);
      widen(dy + p * channels, d, channels);
      push(h, d, pm, pr, gamma, beta, s1, s2, channels, silu);
      narrow(d, dx + p * channels, channels);  // kept there until the second pass
    }
    for (int64_t c = 0; c < channels; ++c) sum[c] += s1[c], dot[c] += s2[c];
  }
  for (int64_t g = 0; g < groups; ++g) {
    double a = 0, b = 0;
    for (int64_t c = g * width; c < (g + 1) * width; ++c) a += gamma[c] * sum[c], b += gamma[c] * dot[c];
    const double n = static_cast<double>(pixels * width);
    for (int64_t c = g * width; c < (g + 1) * width; ++c) {
      k1[c] = static_cast<float>(a / n);
      k2[c] = static_cast<float>(b / n);
      dgamma[c] += dot[c];
      dbeta[c] += sum[c];
    }
  }
  for (int64_t p = 0; p < pixels; ++p) {
    widen(x + p * channels, h, channels);
    widen(dx + p * channels, d, channels);
    finish(h, d, pm, pr, gamma, k1.data(), k2.data(), channels);
    narrow(d, dx + p * channels, channels);
  }
}

template <typename T>
const T* in(const torch::Tensor& t) { return reinterpret_cast<const T*>(t.const_data_ptr()); }
template <typename T>
T* out(torch::Tensor& t) { return reinterpret_cast<T*>(t.mutable_data_ptr()); }

void check(const torch::Tensor& x) {
  TORCH_CHECK(x.is_contiguous(at::MemoryFormat::ChannelsLast), "expected a channels_last tensor");
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16, "expected float32 or bfloat16");
}

}  // namespace

std::vector<torch::Tensor> forward(torch::Tensor x, torch::Tensor gamma, torch::Tensor beta, int64_t groups, double eps,
                                   bool silu) {
  check(x);
  auto y = torch::empty_like(x);
  auto mean = torch::empty({x.size(0), groups}, gamma.options()), rstd = torch::empty_like(mean);
  const int64_t pixels = x.size(2) * x.size(3), channels = x.size(1);
  std::vector<float> scratch;
  for (int64_t n = 0; n < x.size(0); ++n) {
    const int64_t at = n * pixels * channels;
    const float *g = in<float>(gamma), *b = in<float>(beta);
    float *m = out<float>(mean) + n * groups, *r = out<float>(rstd) + n * groups;
    if (x.scalar_type() == at::kFloat)
      forward_one(in<float>(x) + at, out<float>(y) + at, g, b, m, r, pixels, channels, groups, eps, silu, scratch);
    else
      forward_one(in<Half16>(x) + at, out<Half16>(y) + at, g, b, m, r, pixels, channels, groups, eps, silu, scratch);
  }
  return {y, mean, rstd};
}

std::vector<torch::Tensor> backward(torch::Tensor dy, torch::Tensor x, torch::Tensor gamma, torch::Tensor beta,
                                    torch::Tensor mean, torch::Tensor rstd, int64_t groups, bool silu) {
  check(x);
  check(dy);
  auto dx = torch::empty_like(x);
  const int64_t pixels = x.size(2) * x.size(3), channels = x.size(1);
  auto dgamma = torch::zeros({channels}, gamma.options().dtype(at::kDouble)), dbeta = torch::zeros_like(dgamma);
  for (int64_t n = 0; n < x.size(0); ++n) {
    const int64_t at = n * pixels * channels;
    const float *g = in<float>(gamma), *b = in<float>(beta);
    const float *m = in<float>(mean) + n * groups, *r = in<float>(rstd) + n * groups;
    double *dg = out<double>(dgamma), *db = out<double>(dbeta);
    if (x.scalar_type() == at::kFloat)
      backward_one(in<float>(dy) + at, in<float>(x) + at, out<float>(dx) + at, g, b, m, r, dg, db, pixels, channels,
                   groups, silu);
    else
      backward_one(in<Half16>(dy) + at, in<Half16>(x) + at, out<Half16>(dx) + at, g, b, m, r, dg, db, pixels,
                   channels, groups, silu);
  }
  return {dx, dgamma.to(at::kFloat), dbeta.to(at::kFloat)};
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("forward", &forward);
  m.def("backward", &backward);
}
