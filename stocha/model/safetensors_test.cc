#include "stocha/model/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "stocha/model/testing.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

class SafetensorsTest : public FolderTest {};

// A file: the length of `header`, `header`, then `data_bytes` bytes 0, 1, 2 ...
std::string File(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof(length));
  file += header;
  for (size_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i);
  return file;
}

std::string ParseError(const std::string& file) {
  try {
    ParseSafetensors(std::as_bytes(std::span(file)), "f");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TensorView View(DType dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes) {
  return {.dtype = dtype, .shape = std::move(shape), .bytes = bytes};
}

TEST_F(SafetensorsTest, ReadsAHeader) {
  const std::string file = File(
      R"({"__metadata__": {"format": "pt"},
          "b": {"dtype": "F32", "shape": [], "data_offsets": [12, 16]},
          "a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
          "none": {"dtype": "I64", "shape": [4, 0], "data_offsets": [12, 12]}}  )",
      16);
  const SafetensorsHeader header = ParseSafetensors(std::as_bytes(std::span(file)), "f");
  EXPECT_EQ(header.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  ASSERT_EQ(header.tensors.size(), 3U);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[0].tensor.dtype, DType::kBF16);
  EXPECT_EQ(header.tensors[0].tensor.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(header.tensors[0].tensor.bytes.size(), 12U);
  EXPECT_EQ(header.tensors[0].tensor.bytes[1], std::byte{1});
  EXPECT_EQ(header.tensors[1].name, "none");
  EXPECT_EQ(header.tensors[1].tensor.num_elements(), 0);
  EXPECT_EQ(header.tensors[2].tensor.num_elements(), 1);
  EXPECT_EQ(header.tensors[2].tensor.bytes[0], std::byte{12});
}

TEST_F(SafetensorsTest, RefusesBrokenHeaders) {
  struct Case {
    const char* header;
    size_t data_bytes;
    const char* needle;
  };
  const std::vector<Case> cases = {
      {"", 0, "broken JSON"},
      {"[]", 0, "a JSON object"},
      {R"({"a": 1})", 0, "\"a\""},
      {R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 3, "past the end"},
      {R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 5, "after the last"},
      {R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})", 8, "leaves a gap"},
      {R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
           "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]}})",
       6, "overlaps"},
      {R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
           "b": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}})",
       4, "overlaps"},
      {R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
           "a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]}})",
       8, "twice"},
      {R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", 4, "expected 8 bytes"},
      {R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 0]}})", 4, "data_offsets"},
      {R"({"a": {"dtype": "U8", "shape": [-4], "data_offsets": [0, 4]}})", 4, "non-negative"},
      {R"({"a": {"dtype": "U8", "shape": [4.0], "data_offsets": [0, 4]}})", 4, "non-negative"},
      {R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [-1, 3]}})", 4, "non-negative"},
      {R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4, 8]}})", 4, "two non-neg"},
      {R"({"a": {"dtype": "U8", "shape": [4]}})", 4, "data_offsets"},
      {R"({"a": {"dtype": "U8", "shape": 4, "data_offsets": [0, 4]}})", 4, "an array"},
      {R"({"a": {"dtype": "Q4", "shape": [4], "data_offsets": [0, 4]}})", 4, "got \"Q4\""},
      {R"({"a": {"shape": [4], "data_offsets": [0, 4]}})", 4, "\"a.dtype\": got nothing"},
      // 2^62 * 4 bytes = 2^64, which is 0 in 64 bits.
      {R"({"a": {"dtype": "F32", "shape": [4611686018427387904], "data_offsets": [0, 0]}})", 0,
       "below 2^63"},
      {R"({"a": {"dtype": "U8", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}})", 0,
       "below 2^63"},
      {R"({"a": {"dtype": "U8", "shape": [9223372036854775808], "data_offsets": [0, 0]}})", 0,
       "non-negative"},
      {R"({"__metadata__": {"x": 1}})", 0, "\"__metadata__.x\": got 1, expected a string"},
      {R"({"__metadata__": []})", 0, "\"__metadata__\""},
  };
  for (const Case& c : cases) {
    const std::string message = ParseError(File(c.header, c.data_bytes));
    EXPECT_NE(message.find(c.needle), std::string::npos) << c.header << " -> " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST_F(SafetensorsTest, RefusesLyingLengths) {
  EXPECT_NE(ParseError("").find("too short"), std::string::npos);
  EXPECT_NE(ParseError("1234567").find("too short"), std::string::npos);
  std::string file = File("{}", 0);
  EXPECT_EQ(ParseError(file), "");
  file[0] = 3;
  EXPECT_NE(ParseError(file).find("header length: got 3, expected at most 2"), std::string::npos);
  file.replace(0, 8, 8, '\xff');
  EXPECT_NE(ParseError(file).find("header length"), std::string::npos);
}

TEST_F(SafetensorsTest, WhatIsWrittenReadsBackTheSame) {
  const std::vector<float> floats = {1.5F, -2, 3, 4, 5, 6};
  const std::vector<uint8_t> odd = {7, 8, 9};
  const std::vector<NamedTensor> tensors = {
      {"z", View(DType::kU8, {3}, std::as_bytes(std::span(odd)))},
      {"m", View(DType::kF32, {2, 3}, std::as_bytes(std::span(floats)))},
      {"a", View(DType::kU8, {0, 5}, {})},
  };
  const fs::path path = folder_ / "x.safetensors";
  WriteSafetensors(path, tensors, {{"k", "v"}});
  const SafetensorsReader reader = SafetensorsReader::Open(path);
  EXPECT_EQ(reader.metadata(), (std::map<std::string, std::string>{{"k", "v"}}));
  ASSERT_EQ(reader.tensors().size(), 3U);
  ASSERT_NE(reader.Find("m"), nullptr);
  EXPECT_EQ(reader.Find("m")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(ToFloat32(*reader.Find("m"), "m"), floats);
  // Wide types come first, and the data starts at a multiple of 64, so floats are aligned.
  EXPECT_EQ(reinterpret_cast<uintptr_t>(reader.Find("m")->bytes.data()) % 64, 0U);
  EXPECT_EQ(reader.Find("z")->bytes[2], std::byte{9});
  EXPECT_TRUE(reader.Find("a")->bytes.empty());
  EXPECT_EQ(reader.Find("absent"), nullptr);
}

TEST_F(SafetensorsTest, TheWriterRefusesContradictionsAndLeavesNothing) {
  const std::vector<float> floats(4);
  const TensorView good = View(DType::kF32, {4}, std::as_bytes(std::span(floats)));
  const TensorView bad = View(DType::kF32, {5}, std::as_bytes(std::span(floats)));
  const fs::path path = folder_ / "x.safetensors";
  const std::vector<NamedTensor> wrong_size = {{"a", bad}};
  const std::vector<NamedTensor> twice = {{"a", good}, {"a", good}};
  EXPECT_NE(MessageOf([&] { WriteSafetensors(path, wrong_size); }).find("\"a\""),
            std::string::npos);
  EXPECT_NE(MessageOf([&] { WriteSafetensors(path, twice); }).find("unique"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(SafetensorsTest, ReadsAShardedIndex) {
  const std::vector<float> floats = {1, 2};
  const TensorView tensor = View(DType::kF32, {2}, std::as_bytes(std::span(floats)));
  const std::vector<NamedTensor> first = {{"a", tensor}};
  const std::vector<NamedTensor> second = {{"b", tensor}};
  WriteSafetensors(folder_ / "1.safetensors", first);
  WriteSafetensors(folder_ / "2.safetensors", second);
  const fs::path index = folder_ / "model.safetensors.index.json";
  const auto open = [&](const std::string& weight_map) {
    std::ofstream(index) << R"({"metadata": {"total_size": 16}, "weight_map": )" << weight_map
                         << "}";
    return SafetensorsReader::Open(folder_).tensors().size();
  };
  EXPECT_EQ(open(R"({"a": "1.safetensors", "b": "2.safetensors"})"), 2U);
  const auto error = [&](const std::string& weight_map) {
    return MessageOf([&] { open(weight_map); });
  };
  EXPECT_NE(error(R"({"a": "1.safetensors", "c": "2.safetensors"})").find("\"weight_map.c\""),
            std::string::npos);
  EXPECT_NE(error(R"({"a": "3.safetensors"})").find("No such file"), std::string::npos);
  EXPECT_NE(error(R"({"a": "../1.safetensors"})").find("beside the index"), std::string::npos);
  EXPECT_NE(error(R"({"a": 1})").find("a string"), std::string::npos);
  EXPECT_NE(error("[]").find("an object"), std::string::npos);
  WriteSafetensors(folder_ / "2.safetensors", first);
  EXPECT_NE(error(R"({"a": "1.safetensors", "b": "2.safetensors"})").find("another shard"),
            std::string::npos);
}

TEST_F(SafetensorsTest, AFolderWithoutWeightsIsRefused) {
  EXPECT_NE(MessageOf([&] { SafetensorsReader::Open(folder_); }).find("no weights"),
            std::string::npos);
}

TEST(ToFloat32Test, ConvertsHalfPrecisionAndRefusesTheRest) {
  const std::vector<uint16_t> half = {0x3C00, 0xC000, 0x0001, 0x83FF,
                                      0x7BFF, 0x7C00, 0x8000, 0x7E00};
  const auto view = [&](DType dtype) {
    return View(dtype, {static_cast<int64_t>(half.size())}, std::as_bytes(std::span(half)));
  };
  const std::vector<float> f16 = ToFloat32(view(DType::kF16), "t");
  const std::vector<float> expected = {
      1, -2, 0x1p-24F, -1023 * 0x1p-24F, 65504.F, std::numeric_limits<float>::infinity(), -0.F};
  EXPECT_EQ(std::vector(f16.begin(), f16.end() - 1), expected);
  EXPECT_TRUE(std::signbit(f16[6]));
  EXPECT_TRUE(std::isnan(f16[7]));
  EXPECT_EQ(ToFloat32(view(DType::kBF16), "t")[0], 0.0078125F);  // 0x3C00 << 16
  EXPECT_EQ(MessageOf([&] { ToFloat32(view(DType::kI16), "t"); }),
            "t: tensor type: got I16, expected F32, BF16 or F16");
}

TEST(ToFloat32Test, ReadsUnalignedData) {
  std::vector<std::byte> bytes(9);
  const float value = 1234.5F;
  std::memcpy(bytes.data() + 1, &value, 4);
  std::memcpy(bytes.data() + 5, &value, 4);
  const TensorView view = View(DType::kF32, {2}, std::span(bytes).subspan(1));
  EXPECT_EQ(ToFloat32(view, "t"), (std::vector<float>{value, value}));
}

}  // namespace
}  // namespace stocha
