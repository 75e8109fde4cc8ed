// Evaluation sets: JSON lines, one example a line.
//
//   multiple choice   {"query": "...", "choices": ["...", ...], "gold": 0}
//   last word         {"context": "...", "continuation": "..."}
//   question          {"context": "...", "answer": "...", "aliases": ["...", ...]}   aliases
//   optional
//
// Other keys and empty lines are passed over. Functions of bytes alone; `where` is the file's name,
// and errors begin with "WHERE:LINE".
#ifndef STOCHA_EVAL_EXAMPLES_H_
#define STOCHA_EVAL_EXAMPLES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stocha {

struct ChoiceExample {
  std::string query;                 // holds more than white space
  std::vector<std::string> choices;  // at least two, none empty
  int64_t gold = 0;                  // the right one
};

struct LastWordExample {
  std::string context;       // holds more than white space
  std::string continuation;  // likewise
};

struct QuestionExample {
  std::string context;               // holds more than white space
  std::vector<std::string> answers;  // the answer, then its aliases; at least one
};

// At most `limit` examples, 0: all; what is behind them is not read. Throw Error on the first line
// that is not as above, and when there is no example.
std::vector<ChoiceExample> ParseChoiceExamples(std::string_view text, std::string_view where,
                                               int64_t limit = 0);
std::vector<LastWordExample> ParseLastWordExamples(std::string_view text, std::string_view where,
                                                   int64_t limit = 0);
std::vector<QuestionExample> ParseQuestionExamples(std::string_view text, std::string_view where,
                                                   int64_t limit = 0);

}  // namespace stocha

#endif  // STOCHA_EVAL_EXAMPLES_H_
