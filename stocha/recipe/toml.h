// toml++, as every file of this folder includes it.
#ifndef STOCHA_RECIPE_TOML_H_
#define STOCHA_RECIPE_TOML_H_

// Its parser asserts things that a broken recipe breaks (3.3: a key that starts with "*"), and goes
// on to report them. Debian builds it without assertions; where it is header-only they would abort.
#define TOML_ASSERT(expression) static_cast<void>(0)

#include <toml++/toml.h>

#endif  // STOCHA_RECIPE_TOML_H_
