#include "attend/data/safetensors_header.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

namespace attend::data {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxDimensions = 32;
constexpr std::string_view kMetadataName = "__metadata__", kTypeField = "dtype", kShapeField = "shape", kOffsetsField = "data_offsets";

// A name out of an untrusted file, fit for one line of an error.
std::string Quoted(std::string_view name) {
  return Json(std::string(name.substr(0, 80))).dump(-1, ' ', true, Json::error_handler_t::replace);
}

struct Entry {
  std::string name;
  std::optional<TensorType> type;
  std::optional<std::vector<uint64_t>> shape, offsets;
};

// Takes the header's events one by one, so that nothing is built from what is not a header: an object of objects with the fields above,
// the numbers whole, each name and field once. Every method returns false to stop.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  std::vector<Entry> entries;
  Metadata metadata;
  std::string fault;

  bool null() override { return Stop("null"); }
  bool boolean(bool) override { return Stop("a truth value"); }
  bool number_integer(number_integer_t) override { return Stop("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return Stop("a number that is not whole"); }
  bool binary(binary_t&) override { return Stop("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!list_) return Stop("a number");
    if ((*list_)->size() == kMaxDimensions) return Stop("a list of more than " + std::to_string(kMaxDimensions) + " numbers");
    (*list_)->push_back(value);
    return true;
  }
  bool string(string_t& value) override {
    if (depth_ != 2 || list_) return Stop("a string");
    if (in_metadata_) {
      return metadata.emplace(field_, value).second || Stop("twice the key " + Quoted(field_));
    }
    if (field_ != kTypeField || entries.back().type) return Stop("a string or a second one");
    for (const Choice& c : Choices(TensorType{}))
      if (c.name == value) entries.back().type = static_cast<TensorType>(c.value);
    return entries.back().type || Stop("type " + Quoted(value) + " (known: " + ChoiceList<TensorType>() + ")");
  }
  bool start_object(size_t) override { return (!list_ && ++depth_ <= 2) || Stop("an object"); }
  bool end_object() override {
    depth_--;
    if (depth_ != 1 || in_metadata_) return true;
    const Entry& e = entries.back();
    return (e.type && e.shape && e.offsets && e.offsets->size() == 2) || Stop("no dtype, shape or pair of data_offsets");
  }
  bool key(string_t& name) override {
    if (depth_ == 2) {
      field_ = name;
      return true;
    }
    name_ = name;
    field_.clear();
    in_metadata_ = name == kMetadataName;
    if (in_metadata_) {
      if (has_metadata_) return Stop("it twice");
      has_metadata_ = true;
    } else {
      entries.push_back({name, {}, {}, {}});
    }
    return true;
  }
  bool start_array(size_t) override {
    if (depth_ != 2 || list_ || in_metadata_) return Stop("a list");
    list_ = field_ == kShapeField ? &entries.back().shape : field_ == kOffsetsField ? &entries.back().offsets : nullptr;
    if (!list_ || list_->has_value()) return Stop("a list or a second one");
    list_->emplace();
    return true;
  }
  bool end_array() override {
    list_ = nullptr;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fault = "a header that is not JSON (byte " + std::to_string(position) + ")";
    return false;
  }

 private:
  bool Stop(const std::string& found) {
    fault = "a header with " + found + (depth_ >= 1 ? " at " + Quoted(name_) + (field_.empty() ? "" : " " + Quoted(field_)) : "");
    return false;
  }

  int depth_ = 0;
  bool in_metadata_ = false, has_metadata_ = false;
  std::string name_, field_;
  std::optional<std::vector<uint64_t>>* list_ = nullptr;  // being filled
};

// shape x element bytes, or nothing when that does not fit 63 bits.
std::optional<uint64_t> ByteCount(const Entry& entry) {
  uint64_t n = Bytes(*entry.type);
  for (uint64_t size : *entry.shape) {
    if (size > INT64_MAX || __builtin_mul_overflow(n, size, &n) || n > INT64_MAX) return std::nullopt;
  }
  return n;
}

}  // namespace

bool ParseHeader(std::string_view header, std::string_view data, std::map<std::string, Tensor>& tensors, Metadata& metadata,
                 std::string& fault) {
  HeaderReader reader;
  const bool whole = header.starts_with('{') && Json::sax_parse(header.begin(), header.end(), &reader);
  if (!whole) {
    fault = reader.fault.empty() ? "a header that is not a JSON object" : reader.fault;
    return false;
  }
  std::stable_sort(reader.entries.begin(), reader.entries.end(), [](const Entry& a, const Entry& b) { return *a.offsets < *b.offsets; });
  uint64_t at = 0;
  for (Entry& entry : reader.entries) {
    const uint64_t begin = (*entry.offsets)[0], end = (*entry.offsets)[1];
    const std::optional<uint64_t> size = ByteCount(entry);
    if (begin != at || end < begin || end > data.size() || size != end - begin) {
      fault = "tensor " + Quoted(entry.name) + " at bytes " + std::to_string(begin) + " to " + std::to_string(end) + " of " +
              std::to_string(data.size()) + ", where it should begin at " + std::to_string(at) + " and be as long as its shape says";
      return false;
    }
    Tensor tensor{*entry.type, {entry.shape->begin(), entry.shape->end()}, data.substr(begin, end - begin)};
    if (!tensors.emplace(entry.name, std::move(tensor)).second) {
      fault = "a header with tensor " + Quoted(entry.name) + " twice";
      return false;
    }
    at = end;
  }
  if (at != data.size()) {
    fault = std::to_string(data.size()) + " bytes of data where the header describes " + std::to_string(at);
    return false;
  }
  metadata = std::move(reader.metadata);
  return true;
}

std::string FormatHeader(const std::vector<const std::pair<const std::string, Tensor>*>& order, const Metadata& metadata) {
  Json header;
  header[std::string(kMetadataName)] = metadata;
  uint64_t at = 0;
  for (const auto* entry : order) {
    const Tensor& tensor = entry->second;
    header[entry->first] = {{std::string(kTypeField), std::string(Name(tensor.type))},
                            {std::string(kShapeField), tensor.shape},
                            {std::string(kOffsetsField), {at, at + tensor.bytes.size()}}};
    at += tensor.bytes.size();
  }
  return header.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace attend::data
