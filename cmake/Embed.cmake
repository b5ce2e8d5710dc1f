# attend_embed(report page.html page.css): the files attend/report/page.html, … as bytes in the layer's library, each a
#   namespace attend::report::embedded { extern const std::string_view page_html; }
# They are turned into source when they change; the layer declares what it uses in a header of its own.
function(attend_embed layer)
  foreach(file IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER ${file} name)
    set(source ${PROJECT_SOURCE_DIR}/attend/${layer}/${file})
    set(generated ${ATTEND_GENERATED}/embedded/${layer}/${name}.cc)
    add_custom_command(OUTPUT ${generated}
      COMMAND ${CMAKE_COMMAND} -DSOURCE=${source} -DOUTPUT=${generated} -DLAYER=${layer} -DNAME=${name} -P ${PROJECT_SOURCE_DIR}/cmake/Embed.cmake
      DEPENDS ${source} ${PROJECT_SOURCE_DIR}/cmake/Embed.cmake VERBATIM)
    target_sources(attend_${layer} PRIVATE ${generated})
    set_source_files_properties(${generated} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endforeach()
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  file(READ ${SOURCE} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "((0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,))" "\\1\n" bytes "${bytes}")
  file(WRITE ${OUTPUT} "// Written by cmake/Embed.cmake.
#include <string_view>

namespace attend::${LAYER}::embedded {
namespace {

constexpr unsigned char kBytes[] = {${bytes}0x00};  // the last byte ends the array of an empty file

}  // namespace

extern const std::string_view ${NAME};
const std::string_view ${NAME}(reinterpret_cast<const char*>(kBytes), sizeof kBytes - 1);

}  // namespace attend::${LAYER}::embedded
")
endif()
