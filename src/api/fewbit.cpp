#include "fewbit/fewbit.h"

#include <algorithm>
#include <cstring>

#include "flow/quantize.h"
#include "io/model_file.h"
#include "runtime/session.h"

namespace fewbit {
namespace {

std::vector<int64_t> open_dims(const ValueType& type) {
  std::vector<int64_t> dims;
  if (!type.shape) return dims;
  for (const Dim& d : *type.shape) dims.push_back(d.known() ? d.value : -1);
  return dims;
}

std::vector<Port> ports_of(const std::vector<std::pair<std::string, ValueType>>& values) {
  std::vector<Port> ports;
  ports.reserve(values.size());
  for (const auto& [name, type] : values) {
    ports.push_back({name, static_cast<ElementType>(type.elem), open_dims(type)});
  }
  return ports;
}

Result<Tensor> tensor_of(const Array& array) {
  auto type = static_cast<DType>(array.type);
  if (bits_of(type) < 8) return bad_input("input '{}': unknown element type", array.name);
  FEWBIT_ASSIGN(int64_t elements, checked_elements(array.dims, type));
  if (bytes_of(type, elements) != static_cast<int64_t>(array.bytes.size())) {
    return bad_input("input '{}': {}{} takes {} bytes, found {}", array.name, name_of(type),
                     to_string(array.dims), bytes_of(type, elements), array.bytes.size());
  }
  Tensor tensor = Tensor::uninitialized(type, array.dims);
  std::copy(array.bytes.begin(), array.bytes.end(), tensor.raw());
  return tensor;
}

}  // namespace

Array float_array(std::string name, std::vector<int64_t> dims, const std::vector<float>& values) {
  Array array{std::move(name), ElementType::kFloat32, std::move(dims), {}};
  array.bytes.resize(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
  return array;
}

std::vector<float> floats_of(const Array& array) {
  if (array.type != ElementType::kFloat32) return {};
  std::vector<float> values(array.bytes.size() / sizeof(float));
  if (!values.empty()) {
    std::memcpy(values.data(), array.bytes.data(), values.size() * sizeof(float));
  }
  return values;
}

struct Network::State {
  Session session;
  std::vector<Port> inputs, outputs;
};

Network::Network(std::unique_ptr<State> state) : state_(std::move(state)) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

Expected<Network> Network::load(const std::string& path, int threads) {
  Result<Model> model = read_model(path);
  if (!model.ok()) return Expected<Network>::failure(model.error().message());
  SessionOptions options;
  options.threads = threads;
  Result<Session> session = Session::create(std::move(*model), options);
  if (!session.ok()) return Expected<Network>::failure(session.error().message());
  std::vector<Port> inputs = ports_of(session->inputs());
  std::vector<Port> outputs = ports_of(session->outputs());
  return Expected<Network>::success(Network(
      std::make_unique<State>(State{std::move(*session), std::move(inputs), std::move(outputs)})));
}

const std::vector<Port>& Network::inputs() const {
  return state_->inputs;
}
const std::vector<Port>& Network::outputs() const {
  return state_->outputs;
}

Expected<std::vector<Array>> Network::run(const std::vector<Array>& inputs) {
  using Arrays = Expected<std::vector<Array>>;
  Feeds feeds;
  for (const Array& input : inputs) {
    Result<Tensor> tensor = tensor_of(input);
    if (!tensor.ok()) return Arrays::failure(tensor.error().message());
    feeds.emplace_back(input.name, std::move(*tensor));
  }
  Result<std::vector<RuntimeValue>> results = state_->session.run(feeds);
  if (!results.ok()) return Arrays::failure(results.error().message());
  std::vector<Array> out;
  for (size_t i = 0; i < results->size(); ++i) {
    const RuntimeValue& value = (*results)[i];
    const std::string& name = state_->outputs[i].name;
    if (!value.is_tensor() || bits_of(value.tensor().type()) < 8) {
      return Arrays::failure(fmt::format("output '{}' is no tensor of whole bytes", name));
    }
    const Tensor& t = value.tensor();
    out.push_back({name, static_cast<ElementType>(t.type()), t.dims(),
                   std::vector<std::byte>(t.raw(), t.raw() + t.bytes())});
  }
  return Arrays::success(std::move(out));
}

Expected<std::string> quantize(const std::string& input, const std::string& output,
                               const std::string& recipe_toml) {
  Recipe recipe;
  Status parsed = parse_recipe(recipe_toml, "recipe", recipe);
  if (!parsed.ok()) return Expected<std::string>::failure(parsed.error().message());
  Result<QuantizeReport> report = quantize_file(input, output, recipe);
  if (!report.ok()) return Expected<std::string>::failure(report.error().message());
  return Expected<std::string>::success(to_json(*report));
}

std::string library_version() {
  return version();
}

}  // namespace fewbit
