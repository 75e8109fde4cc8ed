// Conversations as they are written, one JSON line each, so that a run that is cut goes on where it
// was:
//
//   {"text":"<|im_start|>user\n...","prompt":17,"stop":"stop_id","settings":"9f86d081884c7d65"}
//
// `stocha tokenize` reads "text". "prompt" counts the prompts from 0, "settings" says what they
// were answered with. Lines are appended as answers come and reach the disk every few seconds; a
// line that a kill cut short is dropped when the file is opened again. Finish() puts them in the
// order of the prompts.
#ifndef STOCHA_CHAT_CONVERSATION_LOG_H_
#define STOCHA_CHAT_CONVERSATION_LOG_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace stocha {

class ConversationLog {
 public:
  // Opens `path`, or makes it. Throws Error, with the file as it was, when it holds anything else
  // than conversations of these settings, or another process has it.
  ConversationLog(std::filesystem::path path, std::string settings);
  ~ConversationLog();
  ConversationLog(const ConversationLog&) = delete;
  ConversationLog& operator=(const ConversationLog&) = delete;

  bool Has(int64_t prompt) const { return lines_.contains(prompt); }
  size_t size() const { return lines_.size(); }
  // Throws Error when it cannot be written, e.g. on a full disk.
  void Add(int64_t prompt, std::string_view text, std::string_view stop);
  // Writes what is gathered, then the file anew in order. Nothing is added afterwards.
  void Finish();

 private:
  // Reads what the file holds; returns the bytes of its whole lines.
  uint64_t Read();
  void Flush();

  std::filesystem::path path_;
  std::string settings_;
  int fd_ = -1;
  std::map<int64_t, std::string> lines_;  // by the prompt, with their newlines
  std::string gathered_;                  // lines not yet written
  std::chrono::steady_clock::time_point last_flush_;
};

}  // namespace stocha

#endif  // STOCHA_CHAT_CONVERSATION_LOG_H_
