#include "attend/data/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>

#include "attend/base/error.h"
#include "tests/data/files.h"

namespace attend::data {
namespace {

using testing::HasSubstr;

// A file with this header before `data` bytes of zero.
std::string File(const std::string& header, size_t data) {
  std::string out(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(out.data(), &length, 8);
  return out + header + std::string(data, '\0');
}

class SafetensorsFile : public testing::Test {
 protected:
  std::string Fault(const std::string& bytes) const {
    const std::string path = folder_.Write("x.safetensors", bytes);
    const std::string message = Message<UserError>([&] { Safetensors file(path); });
    EXPECT_THAT(message, testing::AnyOf("", HasSubstr("[safetensors] expected a whole safetensors file; found " + path + ": ")));
    EXPECT_EQ(message.find('\n'), std::string::npos);
    return message;
  }
  Folder folder_;
};

TEST_F(SafetensorsFile, RoundTrip) {
  const std::vector<float> weights = {1.5f, -2, 3, 4, 5, 6};
  const std::vector<int64_t> steps = {7};
  const std::string flags("\1\0\1", 3);
  const auto bytes = [](const auto& v) { return std::string_view(reinterpret_cast<const char*>(v.data()), v.size() * sizeof(v[0])); };
  const std::map<std::string, Tensor> tensors = {{"w\"\\\n\xC3\xA9", {TensorType::f32, {2, 3}, bytes(weights)}},
                                                 {"empty", {TensorType::bf16, {0, 4}, {}}},
                                                 {"flags", {TensorType::boolean, {3}, flags}},
                                                 {"steps", {TensorType::i64, {}, bytes(steps)}}};
  const std::string path = folder_ / "x.safetensors";
  WriteSafetensors(path, tensors, {{"format", "1"}, {"note", "a \"checksum\":\"xxh64:0000000000000000\" in a string"}});
  const Safetensors file(path);
  ASSERT_EQ(file.tensors().size(), 4u);
  for (const auto& [name, tensor] : tensors) {
    const Tensor& read = file.Find(name);
    EXPECT_EQ(read.type, tensor.type);
    EXPECT_EQ(read.shape, tensor.shape);
    EXPECT_EQ(read.bytes, tensor.bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(read.bytes.data()) % Bytes(read.type), 0u) << name;
  }
  EXPECT_EQ(file.metadata().at("format"), "1");
  EXPECT_THAT(file.metadata().at("checksum"), testing::MatchesRegex("xxh64:[0-9a-f]{16}"));
  EXPECT_NO_THROW(file.Verify());
  EXPECT_THAT(Message<UserError>([&] { file.Find("absent"); }),
              HasSubstr("expected the tensor absent in " + path + "; found empty, flags, steps"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), std::filesystem::directory_iterator()), 1);
}

TEST_F(SafetensorsFile, EveryFlippedBitIsFound) {
  const std::string data = "0123456789abcdef";
  const std::string path = folder_ / "x.safetensors";
  WriteSafetensors(path, {{"w", {TensorType::u8, {4, 4}, data}}}, {{"format", "1"}});
  const std::string whole = Slurp(path);
  for (size_t bit = 0; bit < whole.size() * 8; bit++) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    folder_.Write("flipped", bytes);
    EXPECT_NE(Message<UserError>([&] { Safetensors(folder_ / "flipped").Verify(); }), "") << "bit " << bit;
  }
}

TEST_F(SafetensorsFile, EveryTruncationIsFound) {
  const std::string path = folder_ / "x.safetensors";
  WriteSafetensors(path, {{"w", {TensorType::u8, {16}, "0123456789abcdef"}}});
  const std::string whole = Slurp(path);
  for (size_t size = 0; size < whole.size(); size++) EXPECT_NE(Fault(whole.substr(0, size)), "") << size;
  EXPECT_NE(Fault(whole + "x"), "");
  EXPECT_EQ(Fault(whole), "");
}

TEST_F(SafetensorsFile, ChecksumOnlyWhereRequired) {
  const Safetensors file(folder_.Write("x", File(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4)));
  EXPECT_NO_THROW(file.Verify(false));
  EXPECT_THAT(Message<UserError>([&] { file.Verify(); }), HasSubstr("expected a checksum in the metadata"));
}

TEST_F(SafetensorsFile, AcceptsWhatTheFormatAllows) {
  EXPECT_EQ(Fault(File("{}", 0)), "");
  EXPECT_EQ(Fault(File("{\"__metadata__\":{}}    ", 0)), "");
  // Fields and tensors in any order, unaligned data, a scalar.
  EXPECT_EQ(
      Fault(File(R"({"b":{"data_offsets":[3,11],"shape":[],"dtype":"F64"},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", 11)), "");
}

TEST_F(SafetensorsFile, AbsurdHeaders) {
  std::string huge(8, '\xff');
  EXPECT_THAT(Fault(huge), HasSubstr("a header of 18446744073709551615 bytes in a file of 8"));
  EXPECT_THAT(Fault(std::string("\x00\x00\x00\x40\x00\x00\x00\x00{}", 10)), HasSubstr("a header of 1073741824 bytes"));
  EXPECT_THAT(Fault(""), HasSubstr("0 bytes"));
  EXPECT_THAT(Fault(File("", 0)), HasSubstr("not a JSON object"));
  EXPECT_THAT(Fault(File("[]", 0)), HasSubstr("not a JSON object"));
  EXPECT_THAT(Fault(File("{\"a\":", 0)), HasSubstr("not JSON"));
  EXPECT_THAT(Fault(File("{} {}", 0)), HasSubstr("not JSON"));
  EXPECT_THAT(Fault(File(std::string(R"({"a":)") + std::string(100000, '['), 0)), HasSubstr("a list"));
  std::string deep;
  for (int i = 0; i < 100000; i++) deep += R"({"a":)";
  EXPECT_THAT(Fault(File(deep, 0)), HasSubstr("an object"));
  EXPECT_THAT(Fault(File("{\"\xff\":{}}", 0)), HasSubstr("not JSON"));
}

TEST_F(SafetensorsFile, HeadersThatDoNotFitTheData) {
  const auto one = [](const std::string& type, const std::string& shape, const std::string& offsets) {
    return R"({"w":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  EXPECT_EQ(Fault(File(one("F32", "[2,2]", "[0,16]"), 16)), "");
  for (const auto& [header, size] : std::vector<std::pair<std::string, size_t>>{
           {one("F32", "[2,2]", "[0,16]"), 15},                    // cut
           {one("F32", "[2,2]", "[0,16]"), 17},                    // data that nothing describes
           {one("F32", "[2,3]", "[0,16]"), 16},                    // shape
           {one("F64", "[2,2]", "[0,16]"), 16},                    // element size
           {one("F32", "[2,2]", "[4,20]"), 20},                    // a hole
           {one("F32", "[2,2]", "[16,0]"), 16},                    // backwards
           {one("F32", "[2,2]", "[0,18446744073709551615]"), 16},  // beyond the file
           {one("U8", "[4294967296,4294967296]", "[0,0]"), 0},     // a product of 2^64
           {one("U8", "[18446744073709551615,0]", "[0,0]"), 0},    // a size of more than 63 bits
           {one("F64", "[2305843009213693952]", "[0,0]"), 0},      // bytes of 2^64
           {one("F32", "[2,2]", "[0]"), 16},
           {one("F32", "[2,2]", "[0,16,16]"), 16},
           {one("F32", "[-2,-2]", "[0,16]"), 16},
           {one("F32", "[2.0,2]", "[0,16]"), 16},
           {one("F32", "[[2],2]", "[0,16]"), 16},
           {one("F32", "4", "[0,16]"), 16},
           {one("F32", "null", "[0,16]"), 16},
           {one("C64", "[2]", "[0,16]"), 16},
           {one("U8", "[" + std::string(80, '1') + "]", "[0,16]"), 16},
           {R"({"w":{"dtype":"U8","shape":[1]}})", 1},
           {R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}})", 1},
           {R"({"w":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1},
           {R"({"w":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", 1},
           {R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1},
           {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3},
           {R"({"__metadata__":{"a":1}})", 0},
           {R"({"__metadata__":{"a":{}}})", 0},
           {R"({"__metadata__":{"a":"1","a":"2"}})", 0},
           {R"({"__metadata__":{},"__metadata__":{}})", 0},
           {R"({"w":1})", 0},
           {R"({"w":"x"})", 0},
           {R"({"w":[1]})", 0},
       }) {
    EXPECT_NE(Fault(File(header, size)), "") << header;
  }
  std::string dimensions = "1";
  for (int i = 0; i < 40; i++) dimensions += ",1";
  EXPECT_THAT(Fault(File(one("U8", "[" + dimensions + "]", "[0,1]"), 1)), HasSubstr("more than 32 numbers"));
  EXPECT_THAT(Fault(File(one("C64", "[2]", "[0,16]"), 16)), HasSubstr("C64\" (known: F64, F32,"));
}

TEST_F(SafetensorsFile, ListsWithoutReadingTheData) {
  const std::vector<float> values(1000);
  std::map<std::string, Tensor> tensors;
  for (int i = 0; i < 1000; i++) {
    tensors["layer." + std::to_string(i)] = {TensorType::f32, {1000}, {reinterpret_cast<const char*>(values.data()), 4000}};
  }
  WriteSafetensors(folder_ / "x", tensors);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Safetensors(folder_ / "x").tensors().size(), 1000u);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  RecordProperty("seconds", std::to_string(took.count()));
  EXPECT_LT(took.count(), 0.5);  // 2 ms are usual; the margin is for sanitizers and busy machines
}

TEST_F(SafetensorsFile, BytesMustFitTheShape) {
  EXPECT_THROW(WriteSafetensors(folder_ / "x", {{"w", {TensorType::f32, {2}, "1234"}}}), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x"));
}

}  // namespace
}  // namespace attend::data
