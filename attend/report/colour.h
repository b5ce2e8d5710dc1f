#pragma once

#include <array>
#include <string>
#include <vector>

namespace attend::report {

using Rgb = std::array<unsigned char, 3>;

// Viridis (van der Walt and Smith 2015), in equal steps from weight 0 to weight 1, its low end fading into the page: light pages go
// from white through yellow and green to violet, dark pages from near black through violet and green to yellow. Lightness is monotonic
// in both, so they also read in greyscale and with a colour-vision deficiency.
const std::vector<Rgb>& LightRamp();
const std::vector<Rgb>& DarkRamp();

// The ramp's colour at t, clamped to [0, 1], linear between steps.
Rgb ColourAt(const std::vector<Rgb>& ramp, double t);

// "#rrggbb"
std::string Hex(const Rgb& colour);

// Relative luminance in [0, 1] (WCAG 2): black text is legible above 0.18, white below.
double Luminance(const Rgb& colour);

// The nearest colour of the 6 x 6 x 6 cube and the grey steps of a 256-colour terminal.
int Ansi256(const Rgb& colour);

}  // namespace attend::report
