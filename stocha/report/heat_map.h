// A heat map, layers by steps, as inline SVG. The colours (cividis) rise in lightness from low to
// high, so that it reads the same in grey, and to the colour-blind.
#ifndef STOCHA_REPORT_HEAT_MAP_H_
#define STOCHA_REPORT_HEAT_MAP_H_

#include <string>
#include <vector>

namespace stocha {

struct HeatMap {
  std::string title;        // the accessible name
  std::string description;  // what a reader who cannot see it should know
  int width = 460;
  int height = 230;
  double x_end = 1;             // the axis covers 0 .. x_end
  std::vector<double> x_edges;  // [columns + 1], rising: where each begins, and the last one's end
  std::vector<std::vector<double>> columns;  // [columns, layers], shares; not finite: left blank
  std::vector<double> marked_x;              // vertical lines
};

std::string RenderHeatMap(const HeatMap& map);

}  // namespace stocha

#endif  // STOCHA_REPORT_HEAT_MAP_H_
