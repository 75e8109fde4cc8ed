#include "stocha/recipe/fields.h"

#include <fmt/format.h>

#include <cmath>

namespace stocha {

std::string NumberRange::ToString() const {
  const bool has_max = std::isfinite(max);
  if (open_min || open_max) {
    std::string low = fmt::format("{} {}", open_min ? "above" : "at least", min);
    if (!has_max) return low;
    return low + fmt::format(", {} {}", open_max ? "below" : "at most", max);
  }
  return has_max ? fmt::format("{} to {}", min, max) : fmt::format("at least {}", min);
}

}  // namespace stocha
