// Checks a mechanism and draws an attention map in the terminal.
#include <iostream>

#include "attend/base/error.h"
#include "attend/report/text.h"
#include "attend/spec/validate.h"

int main() {
  try {
    attend::spec::AttentionSpec mechanism;
    mechanism.score = attend::spec::Score::additive;
    attend::spec::RequireValid("attention", mechanism);

    attend::report::AttentionMap map;
    map.path = "decoder.attention";
    map.row_axis = "produces: target";
    map.column_axis = "reads from: source";
    map.rows = {"the", "cat", "sleeps"};
    map.columns = {"die", "Katze", "schläft"};
    map.weights = {0.90f, 0.08f, 0.02f,  //
                   0.10f, 0.80f, 0.10f,  //
                   0.01f, 0.09f, 0.90f};
    std::cout << attend::report::RenderText(map);

    mechanism.heads = 3;
    mechanism.key_value_heads = 2;
    attend::spec::RequireValid("attention", mechanism);
  } catch (const attend::Error& error) {
    std::cout << error.what() << "\n";
  }
}
