#include "attend/report/colour.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace attend::report {
namespace {

// matplotlib's viridis at 0, 1/10, …, 1.
constexpr std::array<Rgb, 11> kViridis = {{{0x44, 0x01, 0x54},
                                           {0x48, 0x25, 0x76},
                                           {0x41, 0x44, 0x87},
                                           {0x35, 0x5f, 0x8d},
                                           {0x2a, 0x78, 0x8e},
                                           {0x21, 0x91, 0x8c},
                                           {0x22, 0xa8, 0x84},
                                           {0x44, 0xbf, 0x70},
                                           {0x7a, 0xd1, 0x51},
                                           {0xbd, 0xdf, 0x26},
                                           {0xfd, 0xe7, 0x25}}};
constexpr Rgb kWhite = {0xff, 0xff, 0xff};
constexpr Rgb kNight = {0x16, 0x18, 0x1d};  // the dark page

double Linear(unsigned char channel) {
  const double c = channel / 255.0;
  return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
}

}  // namespace

const std::vector<Rgb>& LightRamp() {
  static const std::vector<Rgb> ramp = [] {
    std::vector<Rgb> out = {kWhite, {0xfb, 0xf6, 0xb4}};
    for (size_t i = 1; i < kViridis.size(); ++i) out.push_back(kViridis[kViridis.size() - 1 - i]);
    return out;
  }();
  return ramp;
}

const std::vector<Rgb>& DarkRamp() {
  static const std::vector<Rgb> ramp = [] {
    std::vector<Rgb> out = {kNight};
    out.insert(out.end(), kViridis.begin() + 1, kViridis.end());  // its darkest colour is lost on a dark page
    return out;
  }();
  return ramp;
}

Rgb ColourAt(const std::vector<Rgb>& ramp, double t) {
  const double x = std::clamp(t, 0.0, 1.0) * static_cast<double>(ramp.size() - 1);
  const size_t i = std::min(static_cast<size_t>(x), ramp.size() - 2);
  Rgb out;
  for (size_t c = 0; c < 3; ++c) {
    out[c] = static_cast<unsigned char>(std::lround(ramp[i][c] + (x - static_cast<double>(i)) * (ramp[i + 1][c] - ramp[i][c])));
  }
  return out;
}

std::string Hex(const Rgb& colour) {
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", colour[0], colour[1], colour[2]);
  return text;
}

double Luminance(const Rgb& colour) { return 0.2126 * Linear(colour[0]) + 0.7152 * Linear(colour[1]) + 0.0722 * Linear(colour[2]); }

int Ansi256(const Rgb& colour) {
  constexpr std::array<int, 6> kLevels = {0, 95, 135, 175, 215, 255};
  const auto distance = [&](int r, int g, int b) {
    const int dr = r - colour[0], dg = g - colour[1], db = b - colour[2];
    return dr * dr + dg * dg + db * db;
  };
  int best = 16, nearest = distance(0, 0, 0);
  const auto consider = [&](int code, int d) {
    if (d < nearest) best = code, nearest = d;
  };
  for (int i = 0; i < 216; ++i) {
    const auto level = [&](int step) { return kLevels[static_cast<size_t>(step)]; };
    consider(16 + i, distance(level(i / 36), level(i / 6 % 6), level(i % 6)));
  }
  for (int i = 0; i < 24; ++i) consider(232 + i, distance(8 + 10 * i, 8 + 10 * i, 8 + 10 * i));
  return best;
}

}  // namespace attend::report
