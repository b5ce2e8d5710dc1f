#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "attend/nn/attention.h"
#include "attend/nn/recurrent.h"

namespace attend::nn {

// What a recurrent decoder carries from step to step, a row a hypothesis.
struct DecoderState {
  std::vector<RecurrentState> layers;
  AttentionState attention;
  at::Tensor feed;  // (B, output size): h̃_{t-1} of input feeding; undefined otherwise

  // Every tensor of it, for selecting rows.
  void ForEach(const std::function<void(at::Tensor&)>& f);
};

// What a decoder's step is given: y_{t-1} (B, embedding) and the first layer's input part of the gates (B, G size).
struct StepInput {
  at::Tensor gates, y;
  int64_t position = 0;

  IntraStep Intra() const { return {y, position}; }
};

// The recurrent layers of a decoder: the first takes the context in, the others stand on top of it.
class CellStack : public Module {
 public:
  CellStack(spec::Cell cell, int64_t layers, int64_t inputs, int64_t size, bool layer_norm, double dropout, const spec::Intra& intra);

  const Recurrent& first() const { return *layers_[0]; }
  int64_t size() const { return layers_[0]->size(); }
  size_t depth() const { return layers_.size(); }

  // All steps at once: y (T, B, inputs) and gates (T, B, G size) of the first layer -> states of the top layer (T, B, size). Updates the
  // state.
  at::Tensor Run(const at::Tensor& y, const at::Tensor& gates, DecoderState& state, Context& context) const;

  class Loop {
   public:
    Loop(const CellStack& stack, Context& context);
    Recurrent::Loop& first() { return layers_[0]; }
    // Given the first layer's new state: runs the layers above it at this position; returns the top h (B, size).
    at::Tensor Above(DecoderState& state, int64_t position);
    void Finish();

   private:
    const CellStack& stack_;
    Context& context_;
    std::vector<Recurrent::Loop> layers_;
  };

 private:
  std::vector<std::shared_ptr<Recurrent>> layers_;
  double dropout_;
};

// What a decoder's step gives: its state s_t (B, size) and its context c_t (B, context size; undefined without attention).
struct Frame {
  at::Tensor s, c;
};

struct FusionSizes {
  int64_t embedding, state, context;  // context: 0 without attention
  spec::Cell cell;
  bool layer_norm;
};

// How a recurrent decoder uses its context: one file a fusion, nn/fusions/<name>.h, with a class of that name and one line in
// spec/fusions.def. Parameters that the fusion needs besides cells and attention are its own.
class Fusion : public Module {
 public:
  // True when s_t depends on c_t or on the previous output, so that time has to be walked step by step.
  virtual bool stepwise() const = 0;
  virtual bool attends() const { return true; }
  // Does the state carry the last output (input feeding)?
  virtual bool feeds() const { return false; }
  virtual int64_t output_size() const = 0;
  // Of what the attention is queried with.
  static int64_t QuerySize(const FusionSizes& sizes) { return sizes.state; }

  // One walk over time.
  class Loop {
   public:
    // attention: null without. It and the stack outlive the loop.
    Loop(const CellStack& stack, Attention::Loop* over_source, Context& context) : cells(stack, context), attention(over_source) {}
    virtual ~Loop() = default;
    virtual Frame Step(const StepInput& in, DecoderState& state) = 0;  // updates the state
    // After the last step: records what attention there was.
    void Finish() {
      cells.Finish();
      if (attention) attention->Finish();
    }

   protected:
    // s_t = cell(y_{t-1}, s_{t-1}) of the first layer, with what a fusion added to the input's part of the gates.
    const at::Tensor& First(const StepInput& in, const at::Tensor& gates, DecoderState& state) {
      return cells.first().Step(gates, in.Intra(), state.layers[0]);
    }

    CellStack::Loop cells;
    Attention::Loop* attention;
  };
  // attention: null without. All three outlive the loop.
  virtual std::unique_ptr<Loop> Start(const CellStack& cells, Attention::Loop* attention, Context& context) const = 0;

  // What the vocabulary is predicted from: (..., output_size()) of any number of steps at once.
  // s (..., size), c (..., context), y (..., embedding) = y_{t-1}.
  virtual at::Tensor Output(const Frame& frame, const at::Tensor& y) const = 0;
};

// The layer below the vocabulary of Bahdanau et al. and Nematus: tanh(W_s s + W_c c + W_y y + b), of the embedding's size.
class DeepOutput : public Module {
 public:
  explicit DeepOutput(const FusionSizes& sizes);
  at::Tensor Forward(const Frame& frame, const at::Tensor& y) const;

 private:
  std::shared_ptr<Linear> state_, context_, embedding_;
};

std::shared_ptr<Fusion> MakeFusion(spec::Fusion kind, const FusionSizes& sizes);
int64_t QuerySize(spec::Fusion kind, const FusionSizes& sizes);

}  // namespace attend::nn
