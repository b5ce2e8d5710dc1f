#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace attend::nn {

// How a parameter starts. Matrices of several gates are filled gate by gate (`blocks` along the first dimension).
struct Init {
  enum class Kind { zeros, ones, normal, xavier, orthogonal, forget_gate };
  Kind kind = Kind::zeros;
  double scale = 1;  // normal: the standard deviation; xavier, orthogonal: a factor
  int64_t blocks = 1;

  static Init Zeros() { return {}; }
  static Init Ones() { return {Kind::ones}; }
  static Init Normal(double deviation) { return {Kind::normal, deviation}; }
  // Uniform in ±sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010).
  static Init Xavier(int64_t blocks = 1) { return {Kind::xavier, 1, blocks}; }
  // Orthogonal rows (Saxe et al. 2014): keeps the norm of a recurrent state.
  static Init Orthogonal(int64_t blocks = 1) { return {Kind::orthogonal, 1, blocks}; }
  // LSTM bias: zeros but for ones in the second of four blocks (Jozefowicz et al. 2015).
  static Init ForgetGate() { return {Kind::forget_gate, 1, 4}; }
};

// The base of all modules: knows its path in the model ("decoder.attention"), which names its maps, keys its random draws and its
// parameters' first values, and knows how each parameter starts.
class Module : public torch::nn::Module {
 public:
  const std::string& path() const { return path_; }

 protected:
  at::Tensor AddParameter(const std::string& name, at::IntArrayRef shape, Init init);

 private:
  friend void AssignPaths(Module& root);
  friend void Materialise(Module& root, uint64_t seed);
  std::string path_;
  std::map<std::string, Init> init_;
};

// Gives every module below (and including) root its path. The root of a model does this itself.
void AssignPaths(Module& root);

// The same, and gives every parameter its first value: a function of seed and path alone. A model whose weights are read from a file
// needs none.
void Materialise(Module& root, uint64_t seed);

}  // namespace attend::nn
