#include "stocha/report/page_parts.h"

#include <fmt/format.h>

#include "stocha/report/markup.h"
#include "stocha/report/page_style.h"

namespace stocha {
namespace {

void EndFigure(const Chart& chart, std::string* out) {
  *out += fmt::format(
      "<details><summary>Table of these values</summary><div "
      "class=\"scroll\">\n{}</div></details></figure>\n",
      RenderChartTable(chart));
}

}  // namespace

std::string BeginPage(std::string_view title) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<link rel=\"icon\" href=\"data:,\"/>\n<title>{}</title>\n<style>{}</style>\n</head>\n"
      "<body>\n",
      EscapeMarkup(title), kPageStyle);
}

std::string EndPage() {
  return fmt::format("<script>{}</script>\n</body>\n</html>\n", kPageScript);
}

std::string RenderChartFile(const Chart& chart) {
  constexpr int kMargin = 16;  // fonts are wider than the layout thinks, now and then
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"file\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"{2} {2} {0} {1}\"><style>{3}svg.file{{background:var(--paper);"
      "font-family:system-ui,sans-serif}}</style>\n{4}</svg>\n",
      chart.width + 2 * kMargin, chart.height + 2 * kMargin, -kMargin, kPageStyle,
      RenderChart(chart));
}

void AddFacts(const Facts& facts, std::string* out) {
  if (facts.empty()) return;
  *out += "<dl>\n";
  for (const auto& [name, value] : facts) {
    *out +=
        fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", EscapeMarkup(name), EscapeMarkup(value));
  }
  *out += "</dl>\n";
}

void BeginFigure(std::string_view title, std::string_view note, std::string* out) {
  *out += fmt::format("<figure><figcaption>{} <span>{}</span></figcaption>\n", EscapeMarkup(title),
                      EscapeMarkup(note));
}

void AddSmallFigure(const Chart& chart, std::string_view title, std::string_view note,
                    std::string* out) {
  BeginFigure(title, note, out);
  *out += RenderChart(chart);
  EndFigure(chart, out);
}

void AddWideFigure(const Chart& wide, const Chart& narrow, std::string_view title,
                   std::string* out) {
  BeginFigure(title, wide.log_y ? "nats a token, logarithmic" : "nats a token", out);
  *out += fmt::format("<div class=\"wide\">{}</div>\n<div class=\"narrow\">{}</div>\n",
                      RenderChart(wide), RenderChart(narrow));
  EndFigure(wide, out);
}

}  // namespace stocha
