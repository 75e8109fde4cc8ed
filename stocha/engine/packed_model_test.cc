// Packed models: the same results as the weights in them, and files that lie are refused.
#include "stocha/engine/packed_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "stocha/base/error.h"
#include "stocha/engine/packed_testing.h"

namespace stocha {
namespace {

constexpr QuantizeType kAllTypes[] = {QuantizeType::kF32,  QuantizeType::kBF16,
                                      QuantizeType::kQ8_0, QuantizeType::kQ4_0,
                                      QuantizeType::kQ4_K, QuantizeType::kMixed};

Model LoadPacked(const std::filesystem::path& path) {
  ThreadPool pool(1);
  return Model::Load(path, pool);
}

std::string NameOf(const ::testing::TestParamInfo<QuantizeType>& info) {
  return std::string(QuantizeTypeName(info.param));
}

TEST(PackedModelTest, F32IsTheModelItself) {
  const RandomModel random(SmallConfig(Architecture::kQwen2));
  const TemporaryFile file("f32");
  WritePacked(SourceOf(random), QuantizeType::kF32, file.path());
  const std::vector<int32_t> ids = RandomIds(random.config(), 20);
  for (const FfnMode mode : {FfnMode::kDense, FfnMode::kExact}) {
    EXPECT_EQ(PackedLogits(LoadPacked(file.path()), ids, "relu", {.mode = mode}),
              PackedLogits(random.model(), ids, "relu", {.mode = mode}));
  }
}

TEST(PackedModelTest, BF16IsTheModelItself) {
  const RandomModel random(SmallConfig(Architecture::kQwen3), DType::kBF16);
  const TemporaryFile file("bf16");
  WritePacked(SourceOf(random), QuantizeType::kBF16, file.path());
  const Model packed = LoadPacked(file.path());
  ModelConfig config = random.config();
  config.dtype = DType::kBF16;
  EXPECT_EQ(packed.config(), config);
  const std::vector<int32_t> ids = RandomIds(random.config(), 20);
  EXPECT_EQ(PackedLogits(packed, ids, "silu", {}), PackedLogits(random.model(), ids, "silu", {}));
}

class EveryPackedType : public ::testing::TestWithParam<QuantizeType> {};
INSTANTIATE_TEST_SUITE_P(Types, EveryPackedType, ::testing::ValuesIn(kAllTypes), NameOf);

// The scalar set is left out: its norms and its attention are summed otherwise.
void ExpectSameBitsOfVectorSets(const Model& model, const std::vector<int32_t>& ids,
                                const std::string& activation) {
  const std::vector<Isa> isas = AvailableIsas();
  const std::vector<float> expected = PackedLogits(model, ids, activation, {.isa = isas.back()});
  for (size_t i = 1; i < isas.size(); ++i) {
    EXPECT_EQ(PackedLogits(model, ids, activation, {.isa = isas[i]}), expected) << IsaName(isas[i]);
  }
}

TEST_P(EveryPackedType, SameBitsHoweverTheWorkIsDivided) {
  // Rows of one super-block of q4_k and a part of another.
  const RandomModel random(BlockConfig(320, Architecture::kQwen2));
  const TemporaryFile file("divided");
  WritePacked(SourceOf(random), GetParam(), file.path());
  const Model model = LoadPacked(file.path());
  const std::vector<int32_t> ids = RandomIds(random.config(), 20);
  const std::vector<float> expected = PackedLogits(model, ids, "relu", {});
  for (const FfnMode mode : {FfnMode::kDense, FfnMode::kExact}) {
    EXPECT_EQ(PackedLogits(model, ids, "relu", {.mode = mode, .piece = 1}), expected);
    EXPECT_EQ(PackedLogits(model, ids, "relu", {.mode = mode, .threads = 3, .piece = 7}), expected);
  }
  ExpectSameBitsOfVectorSets(model, ids, "relu");
}

TEST_P(EveryPackedType, FineInputsGiveTheSameBitsHoweverTheWorkIsDivided) {
  const RandomModel random(BlockConfig(320, Architecture::kQwen3));
  const TemporaryFile file("fine");
  WritePacked(SourceOf(random), GetParam(), file.path());
  const Model model = LoadPacked(file.path());
  const std::vector<int32_t> ids = RandomIds(random.config(), 20);
  constexpr QuantizedDepth kFine = QuantizedDepth::kFine;
  const std::vector<float> expected = PackedLogits(model, ids, "relu", {.depth = kFine});
  for (const FfnMode mode : {FfnMode::kDense, FfnMode::kExact}) {
    for (const size_t piece : {1, 7}) {
      EXPECT_EQ(PackedLogits(model, ids, "relu",
                             {.mode = mode, .threads = 3, .piece = piece, .depth = kFine}),
                expected);
    }
  }
}

TEST_P(EveryPackedType, RowsGiveTheSameBitsHoweverTheWorkIsDivided) {
  const RandomModel random(BlockConfig(320, Architecture::kLlama));
  const TemporaryFile file("rows-divided");
  WritePacked(SourceOf(random), GetParam(), file.path(), 2, FfnLayout::kRows);
  const Model model = LoadPacked(file.path());
  const std::vector<int32_t> ids = RandomIds(random.config(), 20);
  const std::vector<float> expected = PackedLogits(model, ids, "silu", {});
  EXPECT_EQ(PackedLogits(model, ids, "silu", {.threads = 3, .piece = 1}), expected);
  EXPECT_EQ(PackedLogits(model, ids, "silu", {.mode = FfnMode::kExact, .piece = 7}), expected);
  ExpectSameBitsOfVectorSets(model, ids, "silu");
}

// Floats are summed in another order; in 8 bits, act(gate) * up is rounded too.
TEST_P(EveryPackedType, RowsAreNearNeurons) {
  const RandomModel random(BlockConfig(64, Architecture::kQwen3));
  const TemporaryFile neurons("as-neurons");
  const TemporaryFile rows("as-rows");
  WritePacked(SourceOf(random), GetParam(), neurons.path());
  WritePacked(SourceOf(random), GetParam(), rows.path(), 2, FfnLayout::kRows);
  const std::vector<int32_t> ids = RandomIds(random.config(), 5);
  const double difference =
      RelativeDifference(PackedLogits(LoadPacked(rows.path()), ids, "silu", {}),
                         PackedLogits(LoadPacked(neurons.path()), ids, "silu", {}));
  const bool plain = GetParam() == QuantizeType::kF32 || GetParam() == QuantizeType::kBF16;
  const bool coarse = GetParam() == QuantizeType::kQ4_0 || GetParam() == QuantizeType::kQ4_K;
  EXPECT_LT(difference, plain ? 1e-5 : coarse ? 0.2 : 0.03);
}

TEST(PackedModelTest, UnpackRowsGivesBackRows) {
  const RandomModel random(SmallConfig(Architecture::kQwen2));
  const TemporaryFile file("rows-back");
  const QuantizeSource source = SourceOf(random);
  WritePacked(source, QuantizeType::kF32, file.path(), 1, FfnLayout::kRows);
  const PackedModelFile packed = PackedModelFile::Open(file.path());
  EXPECT_EQ(packed.model.header.layout, FfnLayout::kRows);
  for (const TensorSpec& spec : ListTensors(random.config())) {
    EXPECT_EQ(UnpackRows(packed.model.weights, spec, 3, 2), source.read(spec, 3, 2)) << spec.name;
  }
}

// A model in memory of the values in the file differs in that its inputs are not in 8 or 16 bits.
TEST_P(EveryPackedType, NearTheModelOfTheUnpackedValues) {
  const RandomModel random(BlockConfig(64, Architecture::kLlama));
  const TemporaryFile file("near");
  const TemporaryFile plain_file("plain");
  WritePacked(SourceOf(random), GetParam(), file.path());
  const PackedModelFile packed = PackedModelFile::Open(file.path());
  const QuantizeSource unpacked = {
      .header = packed.model.header,
      .read = [&](const TensorSpec& spec, int64_t first, int64_t count) {
        return UnpackRows(packed.model.weights, spec, first, count);
      }};
  WritePacked(unpacked, QuantizeType::kF32, plain_file.path());
  const std::vector<int32_t> ids = RandomIds(random.config(), 5);
  const std::vector<float> got = PackedLogits(LoadPacked(file.path()), ids, "silu", {});
  const std::vector<float> expected = PackedLogits(LoadPacked(plain_file.path()), ids, "silu", {});
  EXPECT_LT(RelativeDifference(got, expected), 0.03);
  const std::vector<float> fine =
      PackedLogits(LoadPacked(file.path()), ids, "silu", {.depth = QuantizedDepth::kFine});
  EXPECT_LT(RelativeDifference(fine, expected), 2e-4);
}

TEST(PackedModelTest, UnpackRowsGivesBackWhatWasWritten) {
  const RandomModel random(SmallConfig(Architecture::kQwen2));
  const TemporaryFile file("rows");
  const QuantizeSource source = SourceOf(random);
  WritePacked(source, QuantizeType::kF32, file.path());
  const PackedModelFile packed = PackedModelFile::Open(file.path());
  for (const TensorSpec& spec : ListTensors(random.config())) {
    EXPECT_EQ(UnpackRows(packed.model.weights, spec, 3, 2), source.read(spec, 3, 2)) << spec.name;
  }
}

TEST(PackedModelTest, KeepsWhatStandsBesideTheWeights) {
  const RandomModel random(SmallConfig(Architecture::kQwen3));
  QuantizeSource source = SourceOf(random);
  source.header.tokenizer = "{\"a tokenizer\": 1}";
  source.header.tokenizer_config = "{}";
  source.header.chat_template = "{{ messages }}";
  source.header.config.thresholds = {0.25F, 1};
  const TemporaryFile file("header");
  WritePacked(source, QuantizeType::kMixed, file.path());
  const PackedModelFile packed = PackedModelFile::Open(file.path());
  EXPECT_EQ(packed.model.header.name, "random");
  EXPECT_EQ(packed.model.header.type, "mixed");
  EXPECT_EQ(packed.model.header.tokenizer, source.header.tokenizer);
  EXPECT_EQ(packed.model.header.tokenizer_config, source.header.tokenizer_config);
  EXPECT_EQ(packed.model.header.chat_template, source.header.chat_template);
  EXPECT_EQ(packed.model.header.config.thresholds, (std::vector<float>{0.25F, 1}));
  ThreadPool pool(1);
  const Model model = Model::Load(file.path(), pool);
  EXPECT_EQ(model.weights().layers[0].threshold, 0.25F);
  EXPECT_EQ(model.weights().layers[1].threshold, 1);
}

TEST(PackedModelTest, WeightsLieWithinTheMapping) {
  const RandomModel random(BlockConfig(64, Architecture::kQwen2));
  const TemporaryFile file("mapped");
  WritePacked(SourceOf(random), QuantizeType::kQ8_0, file.path());
  const PackedModelFile packed = PackedModelFile::Open(file.path());
  const Weights& weights = packed.model.weights;
  const LayerWeights& layer = weights.layers[1];
  const auto* begin = packed.file.file.bytes().data();
  const auto* end = begin + packed.file.file.bytes().size();
  for (const Matrix* matrix : {&weights.embedding, &layer.query, &layer.gate, &layer.up}) {
    EXPECT_GE(static_cast<const std::byte*>(matrix->data), begin);
    EXPECT_LT(static_cast<const std::byte*>(matrix->data), end);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(matrix->data) % 64, 0U);
  }
  EXPECT_EQ(weights.head.data, weights.embedding.data);  // tied
  EXPECT_EQ(static_cast<const std::byte*>(layer.down.data),
            static_cast<const std::byte*>(layer.up.data) + layer.up.RowBytes());
  EXPECT_EQ(layer.neurons.size(), 0);
}

// What is said of a file after `change`.
std::string ErrorOf(const std::function<void(GgufContent&)>& change) {
  const RandomModel random(BlockConfig(64, Architecture::kLlama));
  const TemporaryFile file("bad");
  WritePacked(SourceOf(random), QuantizeType::kQ8_0, file.path());
  GgufFile gguf = GgufFile::Open(file.path());
  change(gguf.content);
  try {
    ParsePackedModel(gguf.content, "file");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::vector<std::string>& Formats(GgufContent& content) {
  return std::get<std::vector<std::string>>(
      std::get<GgufArray>(content.metadata.at("stocha.formats")));
}

size_t IndexOf(const GgufContent& content, std::string_view name) {
  return content.index.find(name)->second;
}

constexpr const char* kNeurons = "model.layers.1.mlp.neurons";

TEST(BadPackedModelTest, IsGoodBeforeItIsChanged) {
  EXPECT_EQ(ErrorOf([](GgufContent&) {}), "");
}

TEST(BadPackedModelTest, AnotherArchitectureIsToldWhatToDo) {
  const std::string error = ErrorOf([](GgufContent& content) {
    content.metadata["general.architecture"] = std::string("llama");
  });
  EXPECT_NE(error.find("stocha quantize file OUT.gguf"), std::string::npos) << error;
}

TEST(BadPackedModelTest, AnotherVersion) {
  for (const auto& [version, fault] :
       {std::pair{kPackedVersion + 1, "newer"}, std::pair{kPackedVersion - 1, "older"}}) {
    const std::string error = ErrorOf(
        [&](GgufContent& content) { content.metadata["stocha.version"] = int64_t{version}; });
    EXPECT_NE(error.find(std::string(fault) + " stocha"), std::string::npos) << error;
  }
}

TEST(BadPackedModelTest, MetadataMissingOrOfAnotherKind) {
  for (const char* key : {"stocha.version", "stocha.config", "stocha.type", "stocha.formats"}) {
    const std::string missing =
        ErrorOf([key](GgufContent& content) { content.metadata.erase(key); });
    EXPECT_NE(missing.find(key), std::string::npos) << missing;
    const std::string bad = ErrorOf([key](GgufContent& content) { content.metadata[key] = false; });
    EXPECT_NE(bad.find(key), std::string::npos) << bad;
  }
}

TEST(BadPackedModelTest, Thresholds) {
  for (const std::vector<double>& thresholds :
       {std::vector<double>{1}, std::vector<double>{0, std::nan("")}, std::vector<double>{0, -1}}) {
    const std::string error = ErrorOf([&](GgufContent& content) {
      content.metadata["stocha.thresholds"] = GgufArray(thresholds);
    });
    EXPECT_NE(error.find("stocha.thresholds"), std::string::npos) << error;
  }
}

TEST(BadPackedModelTest, NeuronOrder) {
  for (const std::string order : {"hot first", "at random"}) {
    const std::string error = ErrorOf([&](GgufContent& content) {
      content.metadata["stocha.neuron_order"] = order;
      content.metadata["stocha.neuron_fired"] = GgufArray(std::vector<double>(19, 0.5));
    });
    EXPECT_NE(error.find("stocha.neuron_"), std::string::npos) << error;
  }
}

TEST(BadPackedModelTest, LyingFormats) {
  for (const char* format :
       {"neurons:q4_0", "neurons:f32", "q8_0", "neurons:q9", "neurons:q4_k", "neurons:q6_k"}) {
    const std::string error = ErrorOf(
        [format](GgufContent& content) { Formats(content)[IndexOf(content, kNeurons)] = format; });
    EXPECT_NE(error.find(kNeurons), std::string::npos) << error;
  }
  const std::string error = ErrorOf([](GgufContent& content) { Formats(content).pop_back(); });
  EXPECT_NE(error.find("stocha.formats"), std::string::npos) << error;
}

TEST(BadPackedModelTest, ShapesAndTypesThatDoNotFit) {
  for (const char* name : {"model.norm.weight", kNeurons, "model.layers.0.mlp.gate_proj.weight.low",
                           "lm_head.weight"}) {
    const std::string shape = ErrorOf(
        [name](GgufContent& content) { ++content.tensors[IndexOf(content, name)].shape[0]; });
    EXPECT_NE(shape.find(name), std::string::npos) << shape;
    const std::string type = ErrorOf([name](GgufContent& content) {
      content.tensors[IndexOf(content, name)].type = GgmlType::kF16;
    });
    EXPECT_NE(type.find(name), std::string::npos) << type;
  }
}

TEST(BadPackedModelTest, MissingAndUnknownTensors) {
  const std::string missing = ErrorOf(
      [](GgufContent& content) { content.index.erase("model.layers.1.mlp.gate_proj.weight.low"); });
  EXPECT_NE(missing.find("gate_proj.weight.low"), std::string::npos) << missing;
  const std::string unknown = ErrorOf([](GgufContent& content) {
    content.tensors.push_back(content.tensors.front());
    content.tensors.back().name = "one.more";
    Formats(content).emplace_back("f32");
  });
  EXPECT_NE(unknown.find("one.more"), std::string::npos) << unknown;
}

TEST(BadPackedModelTest, UnalignedFloats) {
  const RandomModel random(SmallConfig(Architecture::kQwen3));
  const TemporaryFile file("unaligned");
  WritePacked(SourceOf(random), QuantizeType::kF32, file.path());
  GgufFile gguf = GgufFile::Open(file.path());
  GgufTensor& tensor = gguf.content.tensors[IndexOf(gguf.content, "lm_head.weight")];
  tensor.bytes = {tensor.bytes.data() - 1, tensor.bytes.size()};
  EXPECT_THROW(ParsePackedModel(gguf.content, "file"), Error);
}

}  // namespace
}  // namespace stocha
