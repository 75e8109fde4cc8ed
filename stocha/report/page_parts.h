// What pages have in common: head and foot, facts, figures with a table of their values.
#ifndef STOCHA_REPORT_PAGE_PARTS_H_
#define STOCHA_REPORT_PAGE_PARTS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stocha/report/chart.h"

namespace stocha {

using Facts = std::vector<std::pair<std::string, std::string>>;

// All up to the body's content, and all after it.
std::string BeginPage(std::string_view title);
std::string EndPage();

void AddFacts(const Facts& facts, std::string* out);

// A chart as a file of its own, for a page of Markdown.
std::string RenderChartFile(const Chart& chart);

// Up to the figure's drawing; whoever draws it closes <figure>.
void BeginFigure(std::string_view title, std::string_view note, std::string* out);
void AddSmallFigure(const Chart& chart, std::string_view title, std::string_view note,
                    std::string* out);
// A chart of losses across the page, drawn twice: text keeps its size on a phone.
void AddWideFigure(const Chart& wide, const Chart& narrow, std::string_view title,
                   std::string* out);

}  // namespace stocha

#endif  // STOCHA_REPORT_PAGE_PARTS_H_
