#pragma once

#include <string_view>

// The page's files, turned into bytes by cmake/Embed.cmake.
namespace attend::report::embedded {

extern const std::string_view page_html, page_css, page_weights_js, page_draw_js, page_save_js, page_js;

}  // namespace attend::report::embedded
