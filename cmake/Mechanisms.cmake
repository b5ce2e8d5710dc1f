# The lists of mechanisms stand in attend/spec/*.def, one line each. A mechanism x of the list <list> is the file
# attend/<layer>/<list>/x.h; this writes attend/<layer>/<list>.inc, which includes the files that the list names.
function(attend_mechanisms layer list)
  set(def ${PROJECT_SOURCE_DIR}/attend/spec/${list}.def)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${def})
  file(STRINGS ${def} lines REGEX "^ATTEND_[A-Z_]+\\([a-z]")
  set(text "// Written by cmake/Mechanisms.cmake from attend/spec/${list}.def.\n")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^ATTEND_[A-Z_]+\\(([a-z0-9_]+).*" "\\1" name "${line}")
    string(APPEND text "#include \"attend/${layer}/${list}/${name}.h\"\n")
  endforeach()
  file(CONFIGURE OUTPUT ${ATTEND_GENERATED}/attend/${layer}/${list}.inc CONTENT "${text}" @ONLY)
endfunction()

foreach(list scores supports normalisers readouts)
  attend_mechanisms(ops ${list})
endforeach()
attend_mechanisms(nn fusions)
