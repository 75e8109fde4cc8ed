#include "stocha/report/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "stocha/report/axis.h"
#include "stocha/report/markup.h"

namespace stocha {
namespace {

constexpr int kLevels = 64;  // colours: finer steps cannot be told apart

constexpr std::array<uint32_t, 10> kCividis = {0x00224e, 0x123570, 0x3b496c, 0x575d6d, 0x707173,
                                               0x8a8678, 0xa59c74, 0xc3b369, 0xe1cc55, 0xfee838};

// `share` in [0, 1].
std::string Colour(double share) {
  const double position = share * (kCividis.size() - 1);
  const auto index = std::min(static_cast<size_t>(position), kCividis.size() - 2);
  const double weight = position - static_cast<double>(index);
  uint32_t colour = 0;
  for (const int shift : {16, 8, 0}) {
    const double a = (kCividis[index] >> shift) & 0xFF;
    const double b = (kCividis[index + 1] >> shift) & 0xFF;
    colour |= static_cast<uint32_t>(std::lround(a + weight * (b - a))) << shift;
  }
  return fmt::format("#{:06x}", colour);
}

class Drawing {
 public:
  explicit Drawing(const HeatMap& map) : map_(map) {
    std::vector<double> values;
    for (const std::vector<double>& column : map.columns) {
      layers_ = std::max(layers_, column.size());
      values.insert(values.end(), column.begin(), column.end());
    }
    scale_ = FitAxis(values, values, false);
    scale_.lo = std::max(scale_.lo, 0.0);
    scale_.hi = std::min(scale_.hi, 1.0);
    scale_.from = bottom();
    scale_.to = kTop;
    x_ = {.lo = 0, .hi = map.x_end, .from = 52, .to = map.width - 74.0};
  }

  std::string Render() {
    fmt::format_to(Out(),
                   "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {} {}\" width=\"{}\" "
                   "aria-label=\"{}\"><desc>{}</desc>\n",
                   map_.width, map_.height, map_.width, EscapeMarkup(map_.title),
                   EscapeMarkup(map_.description));
    DrawCells();
    DrawAxes();
    DrawScale();
    return out_ + "</svg>\n";
  }

 private:
  static constexpr double kTop = 8;
  double bottom() const { return map_.height - 22.0; }
  std::back_insert_iterator<std::string> Out() { return std::back_inserter(out_); }
  // Of the lower edge of a row; layer 0 is the lowest, as in a drawing of the network.
  double RowBottom(size_t layer) const {
    return bottom() - (bottom() - kTop) * static_cast<double>(layer) / static_cast<double>(layers_);
  }

  // One path a colour: neighbours of one colour become one rectangle.
  void DrawCells() {
    std::array<std::string, kLevels> paths;
    for (size_t layer = 0; layer < layers_; ++layer) {
      for (size_t begin = 0; begin < map_.columns.size();) {
        const int level = Level(begin, layer);
        size_t end = begin + 1;
        while (end < map_.columns.size() && Level(end, layer) == level) ++end;
        if (level >= 0) {
          const double left = x_.Pixel(map_.x_edges[begin]);
          const double right = x_.Pixel(map_.x_edges[end]);
          fmt::format_to(std::back_inserter(paths[level]), "M{:.1f} {:.1f}H{:.1f}V{:.1f}H{:.1f}z",
                         left, RowBottom(layer), right, RowBottom(layer + 1), left);
        }
        begin = end;
      }
    }
    for (int level = 0; level < kLevels; ++level) {
      if (paths[level].empty()) continue;
      Cells(Colour(level / (kLevels - 1.0)), paths[level]);
    }
  }

  int Level(size_t column, size_t layer) const {
    const std::vector<double>& values = map_.columns[column];
    if (layer >= values.size() || !std::isfinite(values[layer])) return -1;
    const double share = (values[layer] - scale_.lo) / (scale_.hi - scale_.lo);
    return static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * (kLevels - 1)));
  }

  void DrawAxes() {
    for (const double x : map_.marked_x) {
      // White shows on dark cells alone, so the line begins above the map.
      fmt::format_to(Out(),
                     "<path class=\"switch\" d=\"M{0:.1f} 0V{1:.1f}\"/>"
                     "<path class=\"switch on-map\" d=\"M{0:.1f} {1:.1f}V{2:.1f}\"/>",
                     x_.Pixel(x), kTop, bottom());
    }
    const size_t stride = layers_ / 9 + 1;
    for (size_t layer = 0; layer < layers_; layer += stride) {
      Text("end", x_.from - 6, (RowBottom(layer) + RowBottom(layer + 1)) / 2 + 4,
           fmt::format("{}{}", layer == 0 ? "layer " : "", layer));
    }
    Text("name", 0, bottom() + 15, "step");
    for (const double tick : Ticks(x_, static_cast<int>(x_.to - x_.from) / 85, true)) {
      const double x = x_.Pixel(tick);
      fmt::format_to(Out(), "<path class=\"axis\" d=\"M{:.1f} {:.1f}v4\"/>", x, bottom());
      Text("mid", x, bottom() + 15, FormatWhole(std::llround(tick)));
    }
  }

  void DrawScale() {
    const double left = x_.to + 12;
    constexpr int kSteps = 32;
    const double height = (bottom() - kTop) / kSteps;
    for (int step = 0; step < kSteps; ++step) {
      Cells(Colour((step + 0.5) / kSteps),
            fmt::format("M{:.1f} {:.2f}h12v-{:.2f}h-12z", left, bottom() - height * step, height));
    }
    for (const double tick : Ticks(scale_, 6)) {
      const double y = scale_.Pixel(tick);
      fmt::format_to(Out(), "<path class=\"axis\" d=\"M{:.1f} {:.1f}h3\"/>", left + 12, y);
      Text("", left + 18, y + 4, FormatNumber(tick, NumberFormat::kPercent));
    }
  }

  // The thin outline closes the seams that print shows between neighbours.
  void Cells(const std::string& colour, const std::string& path) {
    fmt::format_to(Out(), "<path class=\"cells\" fill=\"{0}\" stroke=\"{0}\" d=\"{1}\"/>\n", colour,
                   path);
  }

  void Text(std::string_view css_class, double x, double y, std::string_view text) {
    fmt::format_to(Out(), "<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", css_class, x, y,
                   text);
  }

  const HeatMap& map_;
  size_t layers_ = 0;
  Axis scale_;  // from a value to the height on the scale
  Axis x_;
  std::string out_;
};

}  // namespace

std::string RenderHeatMap(const HeatMap& map) { return Drawing(map).Render(); }

}  // namespace stocha
