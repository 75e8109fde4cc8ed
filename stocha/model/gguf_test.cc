#include "stocha/model/gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "stocha/model/testing.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

// The bytes of a file, put together by hand.
class Bytes {
 public:
  template <typename T>
  Bytes& Number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    text_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  Bytes& U32(uint32_t value) { return Number(value); }
  Bytes& U64(uint64_t value) { return Number(value); }
  Bytes& String(std::string_view text) {
    U64(text.size());
    text_.append(text);
    return *this;
  }
  Bytes& Header(uint64_t tensors, uint64_t pairs, uint32_t version = 3) {
    text_.append("GGUF");
    return U32(version).U64(tensors).U64(pairs);
  }
  // One dimension a size, as in the file: innermost first.
  Bytes& Tensor(std::string_view name, const std::vector<uint64_t>& sizes, uint32_t type,
                uint64_t offset) {
    String(name).U32(static_cast<uint32_t>(sizes.size()));
    for (const uint64_t size : sizes) U64(size);
    return U32(type).U64(offset);
  }
  // Padding, then `count` bytes 0, 1, 2 ...
  Bytes& Data(size_t count, size_t alignment = 32) {
    text_.resize((text_.size() + alignment - 1) / alignment * alignment);
    for (size_t i = 0; i < count; ++i) text_.push_back(static_cast<char>(i));
    return *this;
  }
  std::span<const std::byte> span() const { return std::as_bytes(std::span(text_)); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string ErrorOf(std::span<const std::byte> file) {
  return MessageOf([file] { ParseGguf(file, "f"); });
}

TEST(GgufTest, ReadsEveryKindOfValue) {
  Bytes file;
  file.Header(0, 14, 2);
  file.String("u8").U32(0).Number(uint8_t{200});
  file.String("i8").U32(1).Number(int8_t{-3});
  file.String("u16").U32(2).Number(uint16_t{65535});
  file.String("i16").U32(3).Number(int16_t{-300});
  file.String("u32").U32(4).U32(4'000'000'000);
  file.String("i32").U32(5).Number(int32_t{-7});
  file.String("f32").U32(6).Number(0.5F);
  file.String("bool").U32(7).Number(uint8_t{1});
  file.String("text").U32(8).String("größe");
  file.String("u64").U32(10).U64(INT64_MAX);
  file.String("i64").U32(11).Number(int64_t{INT64_MIN});
  file.String("f64").U32(12).Number(0.1);
  file.String("words").U32(9).U32(8).U64(2).String("a").String("");
  file.String("none").U32(9).U32(1).U64(0);
  const GgufContent content = ParseGguf(file.span(), "f");
  EXPECT_EQ(GgufInteger(content, "u8", "f"), 200);
  EXPECT_EQ(GgufInteger(content, "i8", "f"), -3);
  EXPECT_EQ(GgufInteger(content, "u16", "f"), 65535);
  EXPECT_EQ(GgufInteger(content, "i16", "f"), -300);
  EXPECT_EQ(GgufInteger(content, "u32", "f"), 4'000'000'000);
  EXPECT_EQ(GgufInteger(content, "i32", "f"), -7);
  EXPECT_EQ(GgufInteger(content, "u64", "f"), INT64_MAX);
  EXPECT_EQ(GgufInteger(content, "i64", "f"), INT64_MIN);
  EXPECT_EQ(GgufNumber(content, "f32", "f"), 0.5);
  EXPECT_EQ(GgufNumber(content, "f64", "f"), 0.1);
  EXPECT_EQ(GgufNumber(content, "i8", "f"), -3.0);
  EXPECT_EQ(GgufString(content, "text", "f"), "größe");
  EXPECT_EQ(content.metadata.at("bool"), GgufValue(true));
  EXPECT_EQ(content.metadata.at("words"), GgufValue(GgufArray(std::vector<std::string>{"a", ""})));
  EXPECT_EQ(content.metadata.at("none"), GgufValue(GgufArray(std::vector<int64_t>{})));
  EXPECT_EQ(MessageOf([&] { GgufString(content, "u8", "f"); }),
            "f: metadata \"u8\": got an integer, expected a string");
  EXPECT_EQ(MessageOf([&] { GgufInteger(content, "x", "f"); }),
            "f: metadata \"x\": got nothing, expected an integer");
  EXPECT_EQ(MessageOf([&] { GgufNumber(content, "bool", "f"); }),
            "f: metadata \"bool\": got a bool, expected a number");
}

TEST(GgufTest, ReadsTensorsAtTheirOffsets) {
  Bytes file;
  file.Header(3, 1).String("general.alignment").U32(4).U32(8);
  file.Tensor("b", {32, 2}, 8, 16);  // Q8_0 [2, 32]: 68 bytes
  file.Tensor("a", {3}, 0, 0);       // F32 [3]: 12 bytes
  file.Tensor("c", {2, 1, 1, 3}, 24, 88).Data(94, 8);
  const GgufContent content = ParseGguf(file.span(), "f");
  ASSERT_EQ(content.tensors.size(), 3U);
  EXPECT_EQ(content.tensors[0].name, "b");
  EXPECT_EQ(content.tensors[0].type, GgmlType::kQ8_0);
  EXPECT_EQ(content.tensors[0].shape, (std::vector<int64_t>{2, 32}));
  EXPECT_EQ(content.tensors[0].bytes.size(), 68U);
  EXPECT_EQ(content.tensors[0].bytes[0], std::byte{16});
  ASSERT_NE(content.Find("c"), nullptr);
  EXPECT_EQ(content.Find("c")->shape, (std::vector<int64_t>{3, 1, 1, 2}));
  EXPECT_EQ(content.Find("c")->num_elements(), 6);
  EXPECT_EQ(content.Find("c")->bytes[5], std::byte{93});
  EXPECT_EQ(content.Find("d"), nullptr);
}

TEST(GgufTest, RefusesWhatIsNoGguf) {
  EXPECT_NE(ErrorOf(Bytes().span()).find("no GGUF: got an empty file"), std::string::npos);
  EXPECT_NE(ErrorOf(Bytes().U64(8).span()).find("no GGUF"), std::string::npos);
  EXPECT_NE(ErrorOf(Bytes().Header(0, 0, 1).span()).find("version: got 1"), std::string::npos);
  EXPECT_NE(ErrorOf(Bytes().Header(0, 0, 0x03000000).span()).find("big-endian"), std::string::npos);
  EXPECT_EQ(ErrorOf(Bytes().Header(0, 0).span()), "");
}

TEST(GgufTest, RefusesLyingMetadata) {
  const auto error = [](const Bytes& pair, uint64_t pairs = 1) {
    Bytes file;
    file.Header(0, pairs);
    const std::string text = file.text() + pair.text();
    return ErrorOf(std::as_bytes(std::span(text)));
  };
  const std::vector<std::pair<Bytes, const char*>> cases = {
      {Bytes(), "number of metadata keys: got 1, expected at most 0"},
      {Bytes().U64(UINT64_MAX).U64(0), "metadata key 0 goes past the end"},
      {Bytes().String("").U32(4).U32(0), "a name of 1 to"},
      {Bytes().String("\xff").U32(4).U32(0), "expected UTF-8"},
      {Bytes().String("k").U32(13).U32(0), "got kind 13"},
      {Bytes().String("k").U32(7).Number(uint8_t{2}), "got 2, expected a bool"},
      {Bytes().String("k").U32(10).U64(uint64_t{1} << 63), "at most 2^63 - 1"},
      {Bytes().String("k").U32(8).String("\xc3"), "expected UTF-8"},
      {Bytes().String("k").U32(8).U64(UINT64_MAX), "goes past the end"},
      {Bytes().String("k").U32(9).U32(9).U64(0), "an array of arrays"},
      {Bytes().String("k").U32(9).U32(4).U64(3).U64(0), "array length: got 3, expected at most 2"},
      {Bytes().String("k").U32(9).U32(8).U64(uint64_t{1} << 61), "array length"},
      {Bytes().String("k").U32(9).U32(99).U64(0), "got kind 99"},
      {Bytes().String("k").U32(10).U32(0), "goes past the end"},
      {Bytes().String("general.alignment").U32(4).U32(24), "got 24, expected a power of two"},
      {Bytes().String("general.alignment").U32(4).U32(0), "got 0, expected a power of two"},
      {Bytes().String("general.alignment").U32(4).U32(1 << 20), "expected a power of two up to"},
      {Bytes().String("general.alignment").U32(8).String("8"), "got a string"},
  };
  for (const auto& [pair, needle] : cases) {
    const std::string message = error(pair);
    EXPECT_NE(message.find(needle), std::string::npos) << needle << " -> " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  const Bytes twice = Bytes().String("k").U32(4).U32(0).String("k").U32(4).U32(0);
  EXPECT_NE(error(twice, 2).find("the key twice"), std::string::npos);
}

TEST(GgufTest, RefusesLyingTensors) {
  struct Case {
    Bytes tensors;
    uint64_t count;
    const char* needle;
  };
  const uint64_t huge = uint64_t{1} << 62;
  const std::vector<Case> cases = {
      {Bytes(), 1, "number of tensors: got 1"},
      {Bytes(), UINT64_MAX, "number of tensors"},
      {Bytes().Tensor("", {1}, 0, 0), 1, "a name of 1 to"},
      {Bytes().Tensor("t", {}, 0, 0), 1, "got 0 dimensions"},
      {Bytes().Tensor("t", {1, 1, 1, 1, 1}, 0, 0), 1, "got 5 dimensions"},
      {Bytes().String("t").U32(UINT32_MAX).U64(0), 1, "got 4294967295 dimensions"},
      {Bytes().Tensor("t", {0}, 0, 0), 1, "size 0"},
      {Bytes().Tensor("t", {UINT64_MAX}, 0, 0), 1, "size 18446744073709551615"},
      {Bytes().Tensor("t", {huge, 4}, 0, 0), 1, "below 2^62 bytes"},
      {Bytes().Tensor("t", {huge}, 24, 0), 1, "below 2^62 bytes"},
      {Bytes().Tensor("t", {33}, 8, 0), 1, "a row of 33 values, expected whole blocks of 32"},
      {Bytes().Tensor("t", {32, 8}, 12, 0), 1, "whole blocks of 256"},
      {Bytes().Tensor("t", {32}, 10, 0), 1, "got Q2_K"},
      {Bytes().Tensor("t", {32}, 77, 0), 1, "got type 77"},
      {Bytes().Tensor("t", {16}, 0, 0), 1, "ends past the end"},
      {Bytes().Tensor("t", {8}, 0, 64), 1, "ends past the end"},
      {Bytes().Tensor("t", {8}, 0, UINT64_MAX - 31), 1, "ends past the end"},
      {Bytes().Tensor("t", {1}, 0, 4), 1, "got offset 4, expected a multiple of 32"},
      {Bytes().Tensor("t", {9}, 0, 0).Tensor("u", {1}, 0, 32), 2, "\"u\" overlaps another"},
      {Bytes().Tensor("t", {1}, 0, 0).Tensor("t", {1}, 0, 32), 2, "the name twice"},
  };
  for (const Case& c : cases) {
    Bytes file;
    file.Header(c.count, 0);
    const std::string text = file.text() + c.tensors.text();
    Bytes whole;
    for (const char byte : text) whole.Number(byte);
    if (!c.tensors.text().empty()) whole.Data(60);
    const std::string message = ErrorOf(whole.span());
    EXPECT_NE(message.find(c.needle), std::string::npos) << c.needle << " -> " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(GgufTest, EveryCutIsRefused) {
  Bytes file;
  file.Header(2, 2).String("a").U32(9).U32(8).U64(2).String("x").String("y");
  file.String("b").U32(4).U32(7).Tensor("t", {8}, 0, 0).Tensor("u", {2}, 1, 32).Data(36);
  ASSERT_EQ(ErrorOf(file.span()), "");
  for (size_t size = 0; size < file.span().size(); ++size) {
    EXPECT_NE(ErrorOf(file.span().first(size)), "") << size;
  }
}

class GgufWriterTest : public FolderTest {};

TEST_F(GgufWriterTest, WhatIsWrittenReadsBackTheSame) {
  const std::map<std::string, GgufValue, std::less<>> metadata = {
      {"a.small", int64_t{-5}},
      {"a.wide", int64_t{1} << 40},
      {"a.low", -(int64_t{1} << 40)},
      {"a.number", 0.25},
      {"a.truth", true},
      {"a.text", std::string("größe\n")},
      {"b.integers", GgufArray(std::vector<int64_t>{1, -2, 3})},
      {"b.wide", GgufArray(std::vector<int64_t>{1, int64_t{1} << 50})},
      {"b.numbers", GgufArray(std::vector<double>{0.5, -1})},
      {"b.words", GgufArray(std::vector<std::string>{"x", "", "z"})},
      {"b.truths", GgufArray(std::vector<bool>{true, false})},
      {"general.architecture", std::string("stocha")},
  };
  std::vector<std::byte> first(3 * 34);
  for (size_t i = 0; i < first.size(); ++i) first[i] = static_cast<std::byte>(i);
  const std::vector<float> second = {1, 2, 3, 4, 5, 6};
  const fs::path path = folder_ / "x.gguf";
  GgufWriter writer(path, metadata,
                    {{"z", GgmlType::kQ8_0, {3, 32}}, {"m", GgmlType::kF32, {2, 3}}});
  writer.Write(std::span(first).first(50));
  writer.Write(std::span(first).subspan(50));
  writer.Write(std::as_bytes(std::span(second)));
  EXPECT_FALSE(fs::exists(path));
  writer.Finish();

  const GgufFile opened = GgufFile::Open(path);
  GgufFile file = GgufFile::Open(folder_ / "x.gguf");
  file = GgufFile::Open(path);  // movable: views stay valid
  EXPECT_EQ(opened.content.metadata, file.content.metadata);
  auto expected = metadata;
  expected["general.alignment"] = int64_t{64};
  EXPECT_EQ(file.content.metadata, expected);
  ASSERT_EQ(file.content.tensors.size(), 2U);
  const GgufTensor& z = file.content.tensors[0];
  EXPECT_EQ(z.name, "z");
  EXPECT_EQ(z.type, GgmlType::kQ8_0);
  EXPECT_EQ(z.shape, (std::vector<int64_t>{3, 32}));
  EXPECT_EQ(std::vector(z.bytes.begin(), z.bytes.end()), first);
  const GgufTensor& m = file.content.tensors[1];
  EXPECT_EQ(std::memcmp(m.bytes.data(), second.data(), m.bytes.size()), 0);
  for (const GgufTensor& tensor : file.content.tensors) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes.data()) % 64, 0U);
  }
}

TEST_F(GgufWriterTest, RefusesContradictionsAndLeavesNothing) {
  const fs::path path = folder_ / "x.gguf";
  const auto error = [&](const std::vector<GgufWriter::Declared>& tensors, size_t bytes) {
    return MessageOf([&] {
      GgufWriter writer(path, {}, tensors);
      writer.Write(std::vector<std::byte>(bytes));
      writer.Finish();
    });
  };
  EXPECT_NE(error({{"a", GgmlType::kF32, {2}}}, 7).find("cannot finish"), std::string::npos);
  EXPECT_NE(error({{"a", GgmlType::kF32, {2}}}, 9).find("past the end of tensor \"a\""),
            std::string::npos);
  EXPECT_NE(error({}, 1).find("past the last tensor"), std::string::npos);
  EXPECT_NE(error({{"a", GgmlType::kQ4_0, {2}}}, 0).find("whole blocks"), std::string::npos);
  EXPECT_NE(error({{"", GgmlType::kF32, {2}}}, 0).find("a name of"), std::string::npos);
  EXPECT_NE(
      error({{"a", GgmlType::kF32, {2}}, {"a", GgmlType::kF32, {2}}}, 0).find("every name once"),
      std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace stocha
