# `cmake --install` lays include/attend, lib, bin/attend and what find_package(Attend) reads. The Torch component is there when
# libattend_torch is.
foreach(layer IN LISTS ATTEND_TORCH_FREE)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/attend/${layer} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/attend
    FILES_MATCHING PATTERN *.h PATTERN *.def)
endforeach()
if(TARGET attend_torch)
  foreach(layer IN LISTS ATTEND_TORCH_LAYERS)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/attend/${layer} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/attend FILES_MATCHING PATTERN *.h)
  endforeach()
endif()
if(IS_DIRECTORY ${ATTEND_GENERATED}/attend)
  install(DIRECTORY ${ATTEND_GENERATED}/attend DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h PATTERN *.inc)
endif()
set(attend_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Attend)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/AttendConfig.cmake.in ${CMAKE_BINARY_DIR}/AttendConfig.cmake
  INSTALL_DESTINATION ${attend_cmake_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/AttendConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/AttendConfig.cmake ${CMAKE_BINARY_DIR}/AttendConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/Torch.cmake DESTINATION ${attend_cmake_dir})
