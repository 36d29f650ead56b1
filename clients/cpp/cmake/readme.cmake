# readme: the example in README.md as a file, so that what stands there compiles and runs.

file(READ "${CMAKE_CURRENT_SOURCE_DIR}/README.md" text)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS README.md)
string(REGEX REPLACE ".*```cpp\n(.*)\n```.*" "\\1\n" example "${text}")
set(readme "${CMAKE_CURRENT_BINARY_DIR}/readme.cc")
file(CONFIGURE OUTPUT "${readme}" CONTENT "${example}" @ONLY)
